//! What happens next: a heap of (time, class, sequence) over a slab of payloads.
//!
//! Taking an item is an *event*; between two events no time passes that anyone could notice, so idle time is jumped
//! over. Cancelling is lazy: the payload leaves the slab at once, its key stays in the heap and is skipped when it
//! surfaces. Items of one instant come out in the order of their [`Class`], then in the order they were put in, so that
//! a run depends on nothing but what was put in and when.

use ios_core::time::Time;
use std::{cmp::Reverse, collections::BinaryHeap};

/// Which of several items due at the same instant comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// What a clogged link held up: before whatever comes along the link in time.
    Released = 0,
    /// Deliveries, completions, faults, client actions: whatever is ready.
    Ready = 1,
    /// The end of a driver's turn: after everything that is ready at the same instant.
    Turn = 2,
}

/// Names an item that may still be cancelled: its class, its sequence number, and where the payload is, in this order
/// of importance in one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Handle(u64);

impl Handle {
    const SLOT_BITS: u32 = 22;
    const CLASS_SHIFT: u32 = 62;

    fn new(class: Class, sequence: u64, slot: usize) -> Self {
        assert!(slot < 1 << Self::SLOT_BITS, "every queue that feeds the agenda is bounded far below this");
        assert!(sequence < 1 << (Self::CLASS_SHIFT - Self::SLOT_BITS), "a run has bounded events");
        Self((class as u64) << Self::CLASS_SHIFT | sequence << Self::SLOT_BITS | slot as u64)
    }

    fn slot(self) -> usize {
        (self.0 & ((1 << Self::SLOT_BITS) - 1)) as usize
    }
}

/// An instant and what is due then, as one number: comparing them is most of what the heap does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key(u128);

impl Key {
    fn new(time: Time, handle: Handle) -> Self {
        Self(u128::from(time.0) << 64 | u128::from(handle.0))
    }

    fn time(self) -> Time {
        Time((self.0 >> 64) as u64)
    }

    fn handle(self) -> Handle {
        Handle(self.0 as u64)
    }
}

#[derive(Debug)]
struct Slot<T> {
    handle: Handle,
    item: Option<T>,
}

/// Items by time. `T` is moved in and out, never copied.
#[derive(Debug)]
pub struct Agenda<T> {
    heap: BinaryHeap<Reverse<Key>>,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    sequence: u64,
    live: usize,
    now: Time,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), sequence: 0, live: 0, now: Time::ZERO }
    }
}

impl<T> Agenda<T> {
    /// The instant of the item taken last.
    pub fn now(&self) -> Time {
        self.now
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Puts an item in; what is due in the past is due now.
    pub fn put(&mut self, time: Time, class: Class, item: T) -> Handle {
        let place = self.free.pop().map_or(self.slots.len(), |slot| slot as usize);
        let handle = Handle::new(class, self.sequence, place);
        self.sequence += 1;
        let slot = Slot { handle, item: Some(item) };
        match self.slots.get_mut(place) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        self.live += 1;
        self.heap.push(Reverse(Key::new(time.max(self.now), handle)));
        handle
    }

    /// Takes an item out before its time; `None` if it has been taken or cancelled.
    pub fn cancel(&mut self, handle: Handle) -> Option<T> {
        self.vacate(handle)
    }

    /// Takes the next item if it is due by `until`, and moves on to its instant.
    pub fn take(&mut self, until: Time) -> Option<T> {
        while let Some(Reverse(key)) = self.heap.peek().copied() {
            if key.time() > until {
                return None;
            }
            self.heap.pop();
            if let Some(item) = self.vacate(key.handle()) {
                self.now = key.time();
                return Some(item);
            }
        }
        None
    }

    /// Moves on to `time` when nothing is due before it.
    pub fn skip_to(&mut self, time: Time) {
        self.now = self.now.max(time);
    }

    /// Empties it for the next run and keeps the memory.
    pub fn clear(&mut self) {
        self.heap.clear();
        self.slots.clear();
        self.free.clear();
        (self.sequence, self.live, self.now) = (0, 0, Time::ZERO);
    }

    /// The payload of a slot, unless the slot has been given to another item since.
    fn vacate(&mut self, handle: Handle) -> Option<T> {
        let slot = &mut self.slots[handle.slot()];
        if slot.handle != handle {
            return None;
        }
        let item = slot.item.take()?;
        self.free.push(handle.slot() as u32);
        self.live -= 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_by_time_then_class_then_order_of_arrival() {
        let mut agenda = Agenda::default();
        agenda.put(Time(5), Class::Turn, "turn");
        agenda.put(Time(5), Class::Ready, "first");
        agenda.put(Time(9), Class::Ready, "late");
        agenda.put(Time(5), Class::Ready, "second");
        let taken: Vec<_> = std::iter::from_fn(|| agenda.take(Time(5))).collect();
        assert_eq!(taken, ["first", "second", "turn"]);
        assert_eq!((agenda.now(), agenda.len()), (Time(5), 1));
        assert_eq!(agenda.take(Time::NEVER), Some("late"));
    }

    #[test]
    fn a_cancelled_item_never_comes_and_its_slot_is_not_mistaken_for_the_next() {
        let mut agenda = Agenda::default();
        let gone = agenda.put(Time(1), Class::Ready, "gone");
        assert_eq!(agenda.cancel(gone), Some("gone"));
        agenda.put(Time(2), Class::Ready, "kept");
        assert_eq!(agenda.cancel(gone), None, "the slot belongs to another item by now");
        assert_eq!(agenda.take(Time::NEVER), Some("kept"));
        assert_eq!((agenda.take(Time::NEVER), agenda.is_empty()), (None, true));
    }

    #[test]
    fn the_past_is_now() {
        let mut agenda = Agenda::default();
        agenda.put(Time(7), Class::Ready, 1);
        assert_eq!(agenda.take(Time::NEVER), Some(1));
        agenda.put(Time(3), Class::Ready, 2);
        assert_eq!(agenda.take(Time::NEVER), Some(2));
        assert_eq!(agenda.now(), Time(7));
    }
}
