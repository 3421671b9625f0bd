//! Writes of unknown outcome that nobody can tell from none, so that nothing is lost if they never take effect.
//!
//! Of all orders that explain a history, take one with the fewest unknown writes. Then each of them is *used*: before
//! the key is written again, some operation sees the value written, or that the value is not another one. So a write is
//! left out if nobody uses its value, if it begins after all who might have ended, or if as many like it, begun no
//! later, are there as there are uses: each use needs one, and the ones that began first can do what others can.
//!
//! This is for keys that are read, written and swapped, one in each operation. Where there are appends, those are left
//! out that are part of no value seen, and puts that no value seen begins with. Other keys are left alone, unless
//! nobody sees anything of them.

use super::contradiction::Use;
use crate::history::{Answer, Data, History, Operation, Outcome, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// How long a value may be to be looked through.
const LONG: usize = 1 << 12;

/// What one operation sees of a key and writes to it.
struct Access<'h> {
    id: usize,
    unknown: bool,
    began: u64,
    deadline: u64,
    /// The value it sees, or that it sees the value is another one.
    sees: Option<Option<&'h Data>>,
    denies: bool,
    writes: Option<&'h Data>,
    appends: bool,
}

/// The operations on one key.
#[derive(Default)]
struct Key<'h> {
    accesses: Vec<Access<'h>>,
    /// Whether something is asked of it that is not looked into.
    other: bool,
}

/// Leaves out unknown writes that nobody can tell from none.
pub fn leave_out_unseen(history: &History, state: &mut [Use]) {
    let mut keys: BTreeMap<&Data, Key<'_>> = BTreeMap::new();
    for (id, operation) in history.operations().iter().enumerate().filter(|(id, _)| state[*id] != Use::Out) {
        let single = operation.request.len() == 1;
        for verb in &operation.request {
            // A count or a list is of many keys.
            let Some(name) = verb.key() else { return };
            let key = keys.entry(name).or_default();
            match access(id, operation, verb, state[id] == Use::Unknown).filter(|_| single) {
                Some(access) => key.accesses.push(access),
                None => key.other = true,
            }
        }
    }
    for key in keys.values_mut().filter(|key| !key.other) {
        let appends = key.accesses.iter().any(|access| access.appends);
        while match appends {
            true => key.leave_out_appends(state),
            false => key.leave_out_unused(state),
        } {}
    }
}

fn access<'h>(id: usize, operation: &'h Operation, verb: &'h Verb, unknown: bool) -> Option<Access<'h>> {
    let told = match &operation.outcome {
        Outcome::Done { answers, .. } if !unknown => answers.first()?,
        _ => &Answer::Untold,
    };
    let deadline = if unknown { u64::MAX } else { operation.deadline() };
    let began = operation.earliest();
    let nothing = Access { id, unknown, began, deadline, sees: None, denies: false, writes: None, appends: false };
    match (verb, told) {
        (Verb::Get { .. }, Answer::Value { value, .. }) => Some(Access { sees: Some(Some(value)), ..nothing }),
        (Verb::Get { .. }, Answer::Missing) => Some(Access { sees: Some(None), ..nothing }),
        (Verb::Put { value, .. }, _) => Some(Access { writes: Some(value), ..nothing }),
        (Verb::Append { value, .. }, _) => Some(Access { writes: Some(value), appends: true, ..nothing }),
        (Verb::Cas { expected, .. }, Answer::NotSwapped { .. }) => {
            Some(Access { sees: Some(expected.as_ref()), denies: true, ..nothing })
        }
        (Verb::Cas { expected, value, .. }, told) if unknown || matches!(told, Answer::Swapped { .. }) => {
            Some(Access { sees: Some(expected.as_ref()), writes: Some(value), ..nothing })
        }
        _ => None,
    }
}

impl<'h> Key<'h> {
    /// Leaves out what is not used, and says whether there was anything.
    fn leave_out_unused(&mut self, state: &mut [Use]) -> bool {
        let denials = || self.accesses.iter().filter(|access| access.denies);
        let (denied, denied_until) = (denials().count(), denials().map(|access| access.deadline).max().unwrap_or(0));
        let until = self.until(denied_until);
        let mut uses: BTreeMap<Option<&Data>, usize> = BTreeMap::new();
        for access in self.accesses.iter().filter(|access| !access.denies) {
            access.sees.into_iter().for_each(|value| *uses.entry(value).or_default() += 1);
        }
        let named: BTreeSet<Option<&Data>> = self.accesses.iter().filter_map(|access| access.sees).collect();
        let mut alike: BTreeMap<(Option<Option<&Data>>, Option<&Data>), usize> = BTreeMap::new();
        let before = self.accesses.len();
        // They are in the order of their begins.
        self.accesses.retain(|access| {
            let Some(value) = access.writes.filter(|_| access.unknown) else { return true };
            // Values that nobody names are all the same: other ones.
            let value = Some(value).filter(|value| named.contains(&Some(value)));
            let last = value.map_or(denied_until, |value| until.get(&Some(value)).copied().unwrap_or(denied_until));
            let most = denied + value.map_or(0, |value| uses.get(&Some(value)).copied().unwrap_or(0));
            let count = alike.entry((access.sees, value)).or_default();
            *count += 1;
            let stays = access.began <= last && *count <= most;
            if !stays {
                state[access.id] = Use::Out;
            }
            stays
        });
        self.accesses.len() < before
    }

    /// By value: until when it is used, be it by an unknown swap to a value that is.
    fn until(&self, denied_until: u64) -> BTreeMap<Option<&'h Data>, u64> {
        let mut until: BTreeMap<Option<&Data>, u64> = BTreeMap::new();
        for access in &self.accesses {
            if let Some(value) = access.sees {
                let known = if access.unknown || access.denies { 0 } else { access.deadline };
                let until = until.entry(value).or_insert(denied_until);
                *until = (*until).max(known);
            }
        }
        loop {
            let mut changed = false;
            for access in self.accesses.iter().filter(|access| access.unknown) {
                let (Some(value), Some(written)) = (access.sees, access.writes) else { continue };
                let through = until.get(&Some(written)).copied().unwrap_or(denied_until);
                let until = until.entry(value).or_insert(denied_until);
                changed |= *until < through;
                *until = (*until).max(through);
            }
            if !changed {
                return until;
            }
        }
    }

    /// Where there are appends: leaves out what no value seen can hold, and says whether there was anything.
    fn leave_out_appends(&mut self, state: &mut [Use]) -> bool {
        if self.accesses.iter().any(|access| access.sees.is_some() && access.writes.is_some() || access.denies) {
            return false;
        }
        let reads = || self.accesses.iter().filter(|access| access.sees.is_some());
        let last = reads().map(|access| access.deadline).max().unwrap_or(0);
        let seen: BTreeSet<&[u8]> =
            reads().filter_map(|access| access.sees.flatten()).map(|value| &value.0[..]).collect();
        // A value that is long is taken to hold anything, for it would take long to find out.
        let holds = |value: &[u8], part: &[u8]| {
            part.is_empty() || value.len() > LONG || value.windows(part.len()).any(|window| window == part)
        };
        let nobody_looks = reads().next().is_none();
        let before = self.accesses.len();
        self.accesses.retain(|access| {
            let Some(written) = access.writes.filter(|_| access.unknown) else { return true };
            let is_seen = match access.appends {
                true => seen.iter().any(|value| holds(value, &written.0)),
                false => seen.iter().any(|value| value.starts_with(&written.0)),
            };
            // An empty append makes a missing value a present one.
            let stays = !nobody_looks && access.began <= last && (is_seen || access.appends && written.0.is_empty());
            if !stays {
                state[access.id] = Use::Out;
            }
            stays
        });
        self.accesses.len() < before
    }
}
