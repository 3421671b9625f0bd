//! Clients that speak in lines: what is heard of them, when they are answered, and how they part.

use super::*;
use crate::lines::{Heard, Saying};
use std::net::Shutdown;

impl ClientSide {
    /// Everything that is heard by and by until there are so many lines.
    fn hear(&mut self, count: usize) -> Vec<Heard> {
        let mut heard = Vec::new();
        self.turn_until(|side| {
            heard.extend(std::iter::from_fn(|| side.clients.next_heard()));
            heard.len() >= count
        });
        assert_eq!(heard.len(), count);
        heard
    }

    fn answer(&mut self, to: &Heard, text: &'static str) {
        self.clients.say(self.now, to.connection, Saying::Answer(text.into()), &mut self.inputs);
    }

    /// Everything that is said until the connection ends.
    fn rest(&mut self, socket: &mut TcpStream) -> String {
        socket.set_nonblocking(true).unwrap();
        let mut said = Vec::new();
        self.turn_until(|_| match socket.read_to_end(&mut said) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "it ends in good order");
                false
            }
        });
        String::from_utf8(said).unwrap()
    }
}

#[test]
fn the_first_byte_tells_lines_from_frames_on_one_port() {
    let mut side = client_side(100);
    let (mut lines, mut frames) = (side.connect(), side.connect());
    side.identify(&mut frames);
    lines.write_all(b"{").unwrap();
    (0..3).for_each(|_| side.turn());
    lines.write_all(b"a}\n{b}\n").unwrap();
    let heard = side.hear(2);
    assert_eq!(heard[0].line.as_ref().unwrap(), "{a}\n");
    assert_eq!(side.clients.deadline(), None, "both are identified");
    // In whichever order they come.
    side.answer(&heard[1], "second\n");
    side.answer(&heard[0], "first\n");
    lines.shutdown(Shutdown::Write).unwrap();
    assert_eq!(side.rest(&mut lines), "second\nfirst\n");
    assert_eq!((side.clients.count(), side.inputs.len()), (1, 0), "the core hears nothing of lines");
}

#[test]
fn who_sends_no_more_is_answered_and_closed_then() {
    let mut side = client_side(100);
    let mut socket = side.connect();
    socket.write_all(&[&b"{}\n".repeat(70)[..], b"{half"].concat()).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let heard = side.hear(64);
    (0..5).for_each(|_| side.turn());
    assert!(side.clients.next_heard().is_none(), "enough are under way");
    heard.iter().for_each(|heard| side.answer(heard, "x\n"));
    let heard = side.hear(6);
    assert!(!is_closed(&mut socket));
    heard.iter().for_each(|heard| side.answer(heard, "y\n"));
    assert_eq!(side.rest(&mut socket), "y\n".repeat(6), "the others were read while looking");
    assert_eq!((side.clients.count(), side.clients.deadline()), (0, None));
}

#[test]
fn after_the_last_answer_nothing_is_taken_and_what_was_asked_before_is_answered() {
    let mut side = client_side(100);
    let mut socket = side.connect();
    socket.write_all(b"{good}\n{bad}\n{never}\n").unwrap();
    let mut heard = Vec::new();
    side.turn_until(|side| {
        heard.extend(side.clients.next_heard());
        heard.len() == 2
    });
    side.clients.say(side.now, heard[1].connection, Saying::Last("bad\n".into()), &mut side.inputs);
    (0..5).for_each(|_| side.turn());
    assert!(side.clients.next_heard().is_none());
    side.answer(&heard[0], "good\n");
    assert_eq!(side.rest(&mut socket), "bad\ngood\n");
    // It goes on sending, more than any buffer takes if nobody reads.
    let (piece, mut sent) = (vec![b'x'; 1 << 20], 0);
    side.turn_until(|_| {
        sent += socket.write(&piece).unwrap_or(0);
        sent > 32 << 20
    });
    assert_eq!((side.clients.count(), side.clients.held()), (1, 0), "it is read out");
    socket.shutdown(Shutdown::Write).unwrap();
    side.turn_until(|side| side.clients.count() == 0);
}

#[test]
fn who_stays_after_the_last_answer_is_closed_in_time_and_a_hang_up_says_nothing() {
    let mut side = client_side(100);
    let (mut stays, mut other) = (side.connect(), side.connect());
    stays.write_all(b"{bad}\n").unwrap();
    let bad = side.hear(1);
    other.write_all(b"{a}\n{b}\n").unwrap();
    let heard = side.hear(2);
    side.clients.say(side.now, bad[0].connection, Saying::Last("bad\n".into()), &mut side.inputs);
    side.clients.say(side.now, heard[0].connection, Saying::HangUp, &mut side.inputs);
    side.answer(&heard[1], "late\n");
    assert_eq!(side.rest(&mut other), "");
    assert_eq!(side.rest(&mut stays), "bad\n");
    assert_eq!(side.clients.count(), 1);
    side.now = side.clients.deadline().unwrap();
    assert!(side.now > Time::ZERO + Span::secs(5), "longer than any outcome takes");
    side.turn_until(|side| side.clients.count() == 0);
    assert_eq!((side.clients.held(), side.inputs.len()), (0, 0));
}

#[test]
fn a_line_that_never_ends_is_given_up_and_one_that_is_slow_has_no_time() {
    let mut side = client_side(100);
    let (mut endless, mut slow) = (side.connect(), side.connect());
    slow.write_all(b"{\"ClientID\":").unwrap();
    endless.set_nonblocking(true).unwrap();
    let piece = vec![b'{'; 1 << 20];
    let mut heard = None;
    side.turn_until(|side| {
        let _ = endless.write(&piece);
        heard = side.clients.next_heard();
        heard.is_some()
    });
    assert!(heard.unwrap().line.is_err());
    assert!(side.clients.held() < 1 << 20, "and its memory is free");
    side.now = Time::ZERO + Span::secs(6);
    side.turn_until(|_| is_closed(&mut slow));
}

#[test]
fn who_asks_in_lines_and_does_not_read_is_closed() {
    let mut side = client_side(100);
    let mut socket = side.connect();
    socket.write_all(&b"{}\n".repeat(3)).unwrap();
    let heard = side.hear(3);
    let large: Bytes = vec![b'x'; 9 << 20].into();
    for heard in &heard[..2] {
        side.clients.say(side.now, heard.connection, Saying::Answer(large.clone()), &mut side.inputs);
    }
    assert_eq!((side.clients.count(), side.clients.held()), (0, 0), "one answer, however long, and no more");
}
