//! How a node deals with commands in words, whichever port they come by: in which language they are, which of them it
//! asks itself, and how long somebody waits for what becomes of them.

use ios_core::{
    client::Ask,
    ids::NodeId,
    message::ReadMode,
    options::{Options, Participant},
    service::{Access, Application},
    time::Span,
};
use std::collections::BTreeMap;

/// When the outcome of a command is said to be unknown.
pub(crate) const OUTCOME_WITHIN: Span = Span::secs(5);

/// As the options of a node have it.
#[derive(Clone, Debug)]
pub(crate) struct Manners {
    /// In which language commands are.
    pub(crate) language: Application,
    /// Where members are told to be, for clients.
    pub(crate) clients: BTreeMap<NodeId, String>,
    participant: Participant,
    participant_read: bool,
}

impl Manners {
    /// Those of a node with these options.
    pub(crate) fn new(language: Application, options: &Options) -> Self {
        Self {
            language,
            clients: options.client_addresses.clone(),
            participant: options.participant,
            participant_read: options.participant_read,
        }
    }

    /// How to ask the node, while `other` member leads if one does; or that member, if it is the one to go to.
    pub(crate) fn ask(&self, access: Access, other: Option<NodeId>) -> Result<Ask, NodeId> {
        match (access, other) {
            (Access::Read, Some(_)) if self.participant_read => Ok(Ask::Read(ReadMode::Participant)),
            (_, Some(leader)) if self.participant == Participant::Redirect => Err(leader),
            (access, _) => Ok(access.into()),
        }
    }
}
