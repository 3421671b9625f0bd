//! Judges a history by what clients saw alone, revisions left aside: divide, order each part, put the parts together.

use super::{
    Layer,
    component::{self, Component},
    quick::{self, Quick},
    search::{self, Found, Search},
    zones,
};
use crate::history::{
    History,
    numbers::{END, NONE},
};

/// How many steps the quick search may take before zones and the other search are asked.
const QUICK_STEPS_MAX: u64 = 1_000_000;

/// Who may be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Means {
    /// The quick search where it applies and soon ends, zones where they apply, search elsewhere.
    Any,
    /// Zones only.
    Zones,
    /// Search only.
    Search,
}

/// Why there is no order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// There is none. These contradict each other, or no order gets past the end of the last of them.
    Illegal(Vec<usize>, Layer),
    /// It cannot be told.
    Undecided(String),
}

/// An order of operations that fits what clients saw, and whether it was searched for.
pub fn order(history: &History, means: Means, budget: u64) -> Result<(Vec<usize>, bool), Failure> {
    if means == Means::Any
        && let Some(quick) = quick::order(history, budget.min(QUICK_STEPS_MAX))
    {
        return match quick {
            Quick::Orders(orders) => Ok((join(history, orders), true)),
            Quick::Nothing(id) => Err(Failure::Illegal(vec![id], Layer::Search)),
        };
    }
    let mut parts = component::divide(history).map_err(Failure::Undecided)?;
    let mut searched = false;
    let mut undecided = None;
    let mut orders = Vec::with_capacity(parts.len());
    for part in &mut parts {
        match order_part(part, means, budget, &mut searched) {
            Ok(order) => orders.push(order),
            Err(Failure::Undecided(why)) => undecided = Some(why),
            Err(illegal) => return Err(illegal),
        }
    }
    match undecided {
        Some(why) => Err(Failure::Undecided(why)),
        None => Ok((join(history, orders), searched)),
    }
}

fn order_part(part: &mut Component<'_>, means: Means, budget: u64, searched: &mut bool) -> Result<Vec<usize>, Failure> {
    if means != Means::Search
        && let Some(result) = zones::order(part)
    {
        return result.map_err(|operations| Failure::Illegal(operations, Layer::Zones));
    }
    if means == Means::Zones {
        return Err(Failure::Undecided("zones are for reads and writes of different values of one key".into()));
    }
    *searched = true;
    match Search::run(part, budget.min(search::STEPS_MAX)) {
        Found::Order(order) => Ok(order),
        Found::Nothing(id) => Err(Failure::Illegal(vec![id], Layer::Search)),
        Found::TooMuch => {
            Err(Failure::Undecided(format!("a search through {} operations grew too large", part.ops.len())))
        }
    }
}

/// Puts orders of parts together: each operation takes effect as soon as it has begun and those before it in its part
/// have taken effect. That is before its end, for an order of a part never lets one that ended wait for one that
/// begins.
fn join(history: &History, mut orders: Vec<Vec<usize>>) -> Vec<usize> {
    if orders.len() == 1 {
        return orders.remove(0);
    }
    let numbers = history.numbers();
    let mut part = vec![NONE; numbers.operations.len()];
    for (number, order) in (0..).zip(&orders) {
        order.iter().for_each(|id| part[*id] = number);
    }
    // A stale read counts as begun before all else.
    let mut begun: Vec<bool> = numbers.operations.iter().map(|operation| operation.earliest == 0).collect();
    let mut rest: Vec<&[usize]> = orders.iter().map(|order| &order[..]).collect();
    let mut all = Vec::with_capacity(numbers.operations.len());
    for id in numbers.events.iter().filter(|event| *event & END == 0) {
        begun[*id as usize] = true;
        let Some(rest) = rest.get_mut(part[*id as usize] as usize) else { continue };
        while let Some((next, later)) = rest.split_first().filter(|(next, _)| begun[**next]) {
            all.push(*next);
            *rest = later;
        }
    }
    all
}
