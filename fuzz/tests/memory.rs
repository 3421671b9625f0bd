//! What a stranger can make a receiver allocate is bounded by what the stranger has sent, whatever lengths it names;
//! and links in good order cost next to nothing.
//!
//! The one test of this file has the process to itself: the allocator counts for all threads.

use bytes::Bytes;
use ios_core::{
    batch::{Batch, BatchBuilder, Command},
    ids::{Index, NodeId, Sequence, SessionId, View},
    message::{ClientRequest, PeerMessage},
    time::Time,
    wire::{Encoder, FrameReader, Framed, HEAD_LEN, MAGIC, VERSION},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory but its own atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        CALLS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the rules of `GlobalAlloc::alloc`, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above; `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Cost {
    peak: usize,
    calls: usize,
}

fn cost(work: impl FnOnce()) -> Cost {
    let (live, calls) = (LIVE.load(Relaxed), CALLS.load(Relaxed));
    PEAK.store(live, Relaxed);
    work();
    Cost { peak: PEAK.load(Relaxed) - live, calls: CALLS.load(Relaxed) - calls }
}

#[test]
fn memory_follows_bytes_that_arrived_not_bytes_that_were_announced() {
    lengths_over_the_limit_cost_nothing();
    announced_payloads_cost_what_has_arrived();
    counts_in_headers_cost_at_most_a_megabyte();
    a_link_in_good_order_allocates_by_the_chunk();
}

fn head<M: Framed>(header: usize, payload: usize, body: &[u8]) -> Vec<u8> {
    let mut head = vec![MAGIC, VERSION, M::KIND as u8, 0];
    head.extend_from_slice(&(header as u32).to_le_bytes());
    head.extend_from_slice(&(payload as u32).to_le_bytes());
    head.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    head.extend_from_slice(&crc32fast::hash(&head).to_le_bytes());
    head
}

fn lengths_over_the_limit_cost_nothing() {
    for lengths in [(100 << 20, 0), (0, 100 << 20), (0, u32::MAX as usize), (u32::MAX as usize, u32::MAX as usize)] {
        let head = head::<PeerMessage>(lengths.0, lengths.1, &[]);
        let mut reader = FrameReader::<PeerMessage>::default();
        let cost = cost(|| assert!(reader.read(&mut head.as_slice()).is_err()));
        assert!(cost.calls == 0, "{lengths:?}: {} allocations", cost.calls);
    }
}

fn announced_payloads_cost_what_has_arrived() {
    let sent = [head::<PeerMessage>(1, 31 << 20, &[]), vec![0; 100]].concat();
    let mut reader = FrameReader::<PeerMessage>::default();
    let cost = cost(|| assert_eq!(reader.read(&mut sent.as_slice()), Ok(None)));
    assert!(reader.pending() == HEAD_LEN + 100 && cost.peak < 80 << 10, "{} bytes for 100", cost.peak);
}

fn counts_in_headers_cost_at_most_a_megabyte() {
    // `Entries` and the members' disks in `Hello` are the lists a peer can send; here each counts 2^32 - 1 of them.
    let count = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let entries = [&[13, 0, 0, 0][..], &count].concat();
    let hello = [&[0, 1, 1, 0, 1, 1, 1, 1][..], &count].concat();
    let promise = [&[5, 1, 1, 1, 1, 1, 1, 1, 0][..], &count].concat();
    for header in [entries, hello, promise] {
        let frame = [head::<PeerMessage>(header.len(), 0, &header), header].concat();
        let mut reader = FrameReader::<PeerMessage>::default();
        let cost = cost(|| assert!(reader.read(&mut frame.as_slice()).is_err()));
        assert!(cost.peak < 2 << 20, "{} bytes for {}", cost.peak, frame.len());
    }
}

fn a_link_in_good_order_allocates_by_the_chunk() {
    let heartbeat = PeerMessage::Heartbeat { view: View { round: 1, node: NodeId(0) }, round: 1, floor: Index(1) };
    let session = SessionId { index: Index(1), position: 0 };
    let payload = Bytes::from(vec![0; 64]);
    let write = ClientRequest::Write { session, sequence: Sequence(1), acked: Sequence(0), payload: payload.clone() };
    check_link(&heartbeat, 1000, 10);
    check_link(&write, 1000, 30);

    let mut builder = BatchBuilder::default();
    (0..500).for_each(|_| {
        let (sequence, acked) = (Sequence(1), Sequence(0));
        builder.push(&Command::Request { session, sequence, acked, payload: payload.clone() });
    });
    check_link(&accept(builder.finish(Time(1))), 1000, 3000);
}

fn accept(batch: Batch) -> PeerMessage {
    let view = View { round: 1, node: NodeId(0) };
    PeerMessage::Accept { view, index: Index(2), batch, floor: Index(1), coordinator: NodeId(0) }
}

/// Sends `message` so many times, dropping each at once, after a first time that warms the buffers up.
fn check_link<M: Framed>(message: &M, times: usize, calls_max: usize) {
    let mut encoder = Encoder::default();
    let mut reader = FrameReader::<M>::default();
    let mut send = || {
        let mut received = 0;
        for mut chunk in encoder.encode(message).expect("below the limit").iter().map(Bytes::as_ref) {
            received += usize::from(reader.read(&mut chunk).expect("a valid frame").is_some());
        }
        assert_eq!(received, 1);
    };
    send();
    let cost = cost(|| (0..times).for_each(|_| send()));
    assert!(cost.calls <= calls_max, "{} allocations for {times} messages, {calls_max} expected", cost.calls);
}
