//! Planted bugs: the proof of the simulator is what it catches.
//!
//! A bug is a file, `sim/planted/NAME.toml` ([`Spec`]): what it is, where a real system had it, which text of which
//! source file makes it, and which oracles must notice. So the core has no test code in it, and a bug whose text is no
//! longer there is an error to mend rather than a test that passes for nothing. Some specs are *harmless*: changes that
//! break no property, for an oracle that is red about everything catches nothing either.
//!
//! One spec at a time is built in a copy of the tree ([`Tree`]) that stays from spec to spec, so that only what it
//! changes is compiled again; then three campaigns from different first seeds run on one core until each has caught it
//! ([`Bench`]).
//!
//! Absent on purpose: bugs in the simulator itself (each oracle has a test in which it fires), and any judgement of a
//! run here; that a seed failed is said by the simulator that was built.

mod bench;
mod spec;
mod table;
mod tree;

pub use bench::{Bench, CAMPAIGNS, Catch, Small, Trial};
pub use spec::{Edit, Spec, load, sample};
pub use table::{page, verdict};
pub use tree::Tree;
