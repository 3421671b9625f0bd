//! What can be found wrong with a run: the properties that are checked, by the names that scenarios and reports use.
//!
//! Each oracle states one property of the protocol (its section 10) in terms of what can be seen from outside a node:
//! messages sent, bytes that became durable, replies given, notes. Most live in [`crate::ghost`] and speak after every
//! event; `linearizability`, `liveness` and `determinism` need a whole run and are decided at its end.

use ios_core::time::Time;
use std::{fmt, str::FromStr};

macro_rules! oracles {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal,)*) => {
        /// A property that every run must have. The text form is fixed: scenarios and reports rely on it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Oracle {
            $($(#[doc = $doc])* $name,)*
        }

        impl Oracle {
            /// All of them, in the order of their discriminants.
            pub const ALL: &'static [Oracle] = &[$(Oracle::$name,)*];

            /// The fixed name.
            pub fn name(self) -> &'static str {
                match self { $(Oracle::$name => $text,)* }
            }
        }
    };
}

oracles! {
    /// I1. One batch per view and index.
    Proposal = "proposal",
    /// I2. Promises are monotone, and durable before anything that vouches for them leaves; also across restarts.
    Promise = "promise",
    /// I3. Nothing is accepted in a view below a promise that has been given.
    Acceptance = "acceptance",
    /// An acceptance is durable before it is acknowledged or counted.
    Durability = "durability",
    /// What was durable is found again after a restart and told in every promise, if only as unknown.
    Recovery = "recovery",
    /// I4. What was chosen, or may yet be, in one view is what every later view proposes.
    Agreement = "agreement",
    /// I5. Whatever is taken as committed was chosen, as computed here from durable acceptances.
    Commit = "commit",
    /// Floors cover chosen prefixes only.
    Floor = "floor",
    /// A view is led by its owner only, in one life only, and only with the promises of a recovery quorum.
    Leadership = "leadership",
    /// I6. Batches are applied in order without a gap, and states agree at equal index.
    Application = "application",
    /// I8. Nothing is assigned beyond the chosen prefix plus the window.
    Window = "window",
    /// I7. Where exclusivity is asked for, no index ever carries two different batches of clients.
    Exclusivity = "exclusivity",
    /// Whoever answers a read has executed all that anybody had when it arrived: a leader whom a replication quorum
    /// followed after that, or with a lease while no recovery quorum has promised anything higher, or a participant to
    /// whom a recovery quorum told how far its logs go.
    Read = "read",
    /// I10. A request of a session takes effect once, and is answered with what that once gave.
    Once = "once",
    /// I13. Log time never goes back and never outruns real time beyond the clocks' rate error.
    LogTime = "log-time",
    /// Queues, batches and chunks keep their bounds.
    Bounds = "bounds",
    /// I9. The clients' history is linearizable, unknown outcomes included, and what was "not done" is never seen.
    Linearizability = "linearizability",
    /// I12. Once faults have stopped, everything accepted from a live client finishes.
    Liveness = "liveness",
    /// No node stops itself, refuses to open, or breaks an assertion without a fault that entitles it to.
    Health = "health",
    /// A message survives its encoding.
    Encoding = "encoding",
    /// The same scenario gives the same run.
    Determinism = "determinism",
}

impl Oracle {
    /// How many there are.
    pub const COUNT: usize = Oracle::ALL.len();

    /// Whether it judges at the end of a run; the others speak at the event that breaks the property.
    pub fn needs_a_whole_run(self) -> bool {
        matches!(self, Oracle::Linearizability | Oracle::Liveness | Oracle::Determinism)
    }
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no oracle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownOracle(pub String);

impl fmt::Display for UnknownOracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown oracle \"{}\"; there are", self.0)?;
        for (place, oracle) in Oracle::ALL.iter().enumerate() {
            write!(f, "{} {oracle}", if place == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownOracle {}

impl FromStr for Oracle {
    type Err = UnknownOracle;

    fn from_str(text: &str) -> Result<Self, UnknownOracle> {
        Oracle::ALL.iter().copied().find(|oracle| oracle.name() == text).ok_or_else(|| UnknownOracle(text.to_string()))
    }
}

/// A property that did not hold, and how that was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which property.
    pub oracle: Oracle,
    /// When it was noticed, in real (virtual) time.
    pub time: Time,
    /// What was seen and what it contradicts, in one sentence.
    pub text: String,
}

impl Violation {
    /// What is the same when the same thing goes wrong in another run: the sentence without what is particular to one,
    /// such as members, views, indexes and contents. What is judged over a whole run is one property each.
    pub fn property(&self) -> String {
        if self.oracle.needs_a_whole_run() {
            return String::new();
        }
        let particular = |char: char| char.is_ascii_digit() || "{}[]()\"".contains(char);
        let words = self.text.split_whitespace().filter(|word| !word.contains(particular));
        words.collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.oracle, Time(self.time.0 / 1000 * 1000), self.text)
    }
}

/// How many times each oracle looked: a run in which an oracle had nothing to look at shows nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checks([u64; Oracle::COUNT]);

impl Checks {
    /// Counts one look.
    pub fn count(&mut self, oracle: Oracle) {
        self.0[oracle as usize] += 1;
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Checks) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// How often `oracle` looked.
    pub fn get(&self, oracle: Oracle) -> u64 {
        self.0[oracle as usize]
    }

    /// Every oracle with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Oracle, u64)> + '_ {
        Oracle::ALL.iter().map(|oracle| (*oracle, self.get(*oracle)))
    }

    /// All looks together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_an_unknown_one_is_answered_with_all_names() {
        for (place, oracle) in Oracle::ALL.iter().enumerate() {
            assert_eq!(*oracle as usize, place);
            assert_eq!(oracle.to_string().parse(), Ok(*oracle));
        }
        let error = "agremeent".parse::<Oracle>().unwrap_err().to_string();
        assert!(error.contains("agreement") && error.contains("log-time"), "{error}");
    }

    #[test]
    fn checks_add_up() {
        let (mut one, mut two) = (Checks::default(), Checks::default());
        one.count(Oracle::Promise);
        two.count(Oracle::Promise);
        two.count(Oracle::Window);
        one.add(&two);
        assert_eq!((one.get(Oracle::Promise), one.get(Oracle::Window), one.total()), (2, 1, 3));
    }
}
