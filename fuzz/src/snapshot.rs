//! Snapshots from elsewhere: a stream of which a peer says that it is a state.

use crate::member::config;
use bytes::Bytes;
use ios_core::{
    batch::{BatchBuilder, Command},
    configuration::ConfigurationHistory,
    ids::{Index, Sequence, SessionId},
    options::Seal,
    service::{
        Machine,
        kv::{Kv, Operation, request},
        snapshot::{BadSnapshot, Restorer, Snapshotter},
    },
    time::Time,
};

/// Bytes of an input before the stream: the index and the hash of the state that were promised.
const HEAD: usize = 16;
/// What a replica takes of a stream at once; any other size gives the same.
const PIECE: usize = 7;

/// However a stream is cut, the same state comes of it or none does; a state that has the promised hash makes the same
/// stream again.
pub fn snapshot_stream(bytes: &[u8]) {
    let Some((head, stream)) = bytes.split_first_chunk::<HEAD>() else { return };
    let [index, state_hash] = [&head[..8], &head[8..]].map(|n| u64::from_le_bytes(n.try_into().expect("eight bytes")));
    let whole = restore(index, state_hash, [stream]);
    let pieces = restore(index, state_hash, stream.chunks(PIECE));
    assert_eq!(whole.is_ok(), pieces.is_ok(), "a stream means something else in pieces");
    if let (Ok(mut whole), Ok(pieces)) = (whole, pieces) {
        assert_eq!(whole.state_hash(), pieces.state_hash());
        let again = take(&mut whole);
        let back = restore(index, state_hash, [&again[..]]).expect("what was taken from a state is a state");
        assert_eq!(back.state_hash(), whole.state_hash());
    }
}

fn history() -> ConfigurationHistory {
    ConfigurationHistory::new(config(0, 1, Seal::Lazy).configuration)
}

fn blank() -> Machine<Kv> {
    Machine::new(Kv::default(), history().genesis().session_ttl())
}

fn restore<'a>(
    index: u64,
    state_hash: u64,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Machine<Kv>, BadSnapshot> {
    let mut restorer = Restorer::begin(&blank(), &history());
    for piece in pieces {
        restorer.take(piece)?;
    }
    restorer.finish(Index(index), state_hash)
}

fn take(machine: &mut Machine<Kv>) -> Vec<u8> {
    let mut taking = Snapshotter::begin(machine, &history());
    let mut stream = Vec::new();
    while !taking.is_over() {
        stream.extend(taking.block(machine, 64).into_iter().flatten());
    }
    machine.snapshot_end();
    stream
}

/// States of several sizes, each as its stream and what is promised of it.
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let sample = |batches: &[Vec<Command>]| {
        let mut machine = blank();
        for (index, commands) in (1..).map(Index).zip(batches) {
            let mut builder = BatchBuilder::default();
            commands.iter().for_each(|command| builder.push(command));
            machine.apply(index, &builder.finish(Time(index.0)), &mut Vec::new(), &mut Vec::new());
        }
        let head = [machine.applied().0, machine.state_hash()].map(u64::to_le_bytes).concat();
        [head, take(&mut machine)].concat()
    };
    let session = SessionId { index: Index(1), position: 0 };
    let put = |sequence: u64| {
        let key = [b'k', sequence as u8];
        let payload = request::encode(&[Operation::Put { key: &key, value: b"value" }]).expect("a small request");
        vec![Command::Request { session, sequence: Sequence(sequence), acked: Sequence(0), payload }]
    };
    let register = vec![Command::Register, Command::Register];
    let strange = vec![Command::Request {
        session,
        sequence: Sequence(40),
        acked: Sequence(3),
        payload: Bytes::from_static(b"?"),
    }];
    let full: Vec<_> = [register.clone()].into_iter().chain((1..9).map(put)).chain([strange]).collect();
    vec![("nothing", sample(&[])), ("sessions", sample(&[register])), ("full", sample(&full))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Mutator;

    #[test]
    fn the_samples_are_states_and_few_other_streams_are() {
        let is_state = |input: &[u8]| {
            let number = |at: usize| u64::from_le_bytes(input[at..at + 8].try_into().expect("eight bytes"));
            restore(number(0), number(8), [&input[HEAD..]]).is_ok()
        };
        let corpus: Vec<Vec<u8>> = samples().into_iter().map(|(_, input)| input).collect();
        assert!(corpus.iter().all(|input| is_state(input)));
        let mut mutator = Mutator::new(1, corpus.clone());
        let drawn: Vec<Vec<u8>> = (0..1000).map(|_| mutator.input()).collect();
        let states = drawn.iter().filter(|input| input.len() >= HEAD && is_state(input)).count();
        let samples = drawn.iter().filter(|input| corpus.contains(input)).count();
        assert!(states >= samples && states < samples + 50, "{states} of 1000, {samples} of them samples");
    }
}
