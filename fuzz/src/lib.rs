//! What must hold for *any* bytes that reach the system from outside, one body a door.
//!
//! | target | door | promise |
//! | --- | --- | --- |
//! | `peer_frame` | a peer link | never panics; however the bytes are cut, the same messages and the same error; what decodes encodes to what decodes to it |
//! | `client_frame` | a client's link, both ways | the same |
//! | `conversation` | a running node's links | never panics on what peers and clients say; everything it answers fits a frame |
//! | `service_request` | a client's payload, a user's line, a reply | equal stores stay equal; what passes for a read changes nothing; replies can be read |
//! | `journal_image` | a data directory | refused with a reason, or opened; what was recovered once is recovered again, what is then recorded is there |
//! | `snapshot_stream` | a peer's snapshot | refused, or a state of the promised hash, however the bytes are cut; taken again it is the same state |
//! | `scenario_text` | a scenario file | refused with a line and a reason, or printing is the inverse of parsing |
//!
//! A body panics when a promise is broken and returns otherwise. The same bodies run under `cargo fuzz`
//! (`fuzz_targets/`, see the README here), which searches for new paths, and on the stable toolchain in
//! `tests/replay.rs`, which goes over the committed corpora and a fixed number of [`mutation`]s of them.

pub mod frame;
pub mod conversation;
pub mod service;
pub mod journal;
pub mod snapshot;
pub mod scenario;
pub mod directory;
pub mod member;
pub mod mutation;

/// A door to the system, with valid examples of what comes through it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Names the `cargo fuzz` target and the folder of its corpus.
    pub name: &'static str,
    /// What must not panic.
    pub body: fn(&[u8]),
    /// How many inputs `tests/replay.rs` draws: about a second's worth.
    pub drawn: u32,
    /// Valid inputs by name: the seeds of the corpus. The same on every call.
    pub samples: fn() -> Vec<(&'static str, Vec<u8>)>,
}

/// All doors.
pub const TARGETS: [Target; 7] = [
    Target { name: "peer_frame", body: frame::peer_frame, drawn: 20_000, samples: frame::peer_samples },
    Target { name: "client_frame", body: frame::client_frame, drawn: 20_000, samples: frame::client_samples },
    Target { name: "conversation", body: conversation::conversation, drawn: 20_000, samples: conversation::samples },
    Target { name: "service_request", body: service::service_request, drawn: 20_000, samples: service::samples },
    Target { name: "journal_image", body: journal::journal_image, drawn: 3_000, samples: journal::samples },
    Target { name: "snapshot_stream", body: snapshot::snapshot_stream, drawn: 20_000, samples: snapshot::samples },
    Target { name: "scenario_text", body: scenario::scenario_text, drawn: 20_000, samples: scenario::samples },
];
