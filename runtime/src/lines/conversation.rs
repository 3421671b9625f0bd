//! What one connection has said and not been answered yet.

use bytes::{Bytes, BytesMut};

/// Bytes of the longest line, its end included: a request of the largest size that a member takes, every byte of it
/// written as a JSON escape of six characters, and a little for what is around it.
pub(crate) const LINE_MAX: usize = 6 * (3 << 19) + (4 << 10);
/// Requests of one connection that may be under way; the next is not even looked at before one is answered.
pub(crate) const PIPELINE_MAX: usize = 64;
/// What comes after a line of more bytes is moved away, so that it does not keep the memory of that line.
const LONG: usize = 16 << 10;

/// A line is longer than [`LINE_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TooLong;

/// What one connection has said and not been answered yet.
///
/// It is over when nothing is taken any more and all that was taken is answered. `arrived` holds less than a whole line
/// unless [`PIPELINE_MAX`] requests are under way, when it holds what one turn has brought besides.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    arrived: BytesMut,
    /// Of `arrived`, so many bytes hold no end of a line.
    scanned: usize,
    under_way: usize,
    /// The other end sends no more.
    ended: bool,
    /// Nothing more is taken of what the other end sends.
    refused: bool,
}

impl Conversation {
    /// Takes what has arrived.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        if !self.refused {
            self.arrived.extend_from_slice(bytes);
        }
    }

    /// The other end sends no more. The lines that have arrived are still taken.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Takes nothing more.
    pub(crate) fn refuse(&mut self) {
        self.refused = true;
        self.arrived = BytesMut::new();
        self.scanned = 0;
    }

    /// The next line, which counts as under way from now on. `None` if none is whole, or enough are under way.
    pub(crate) fn next(&mut self) -> Option<Result<Bytes, TooLong>> {
        if self.is_full() {
            return None;
        }
        let end = self.arrived[self.scanned..].iter().position(|byte| *byte == b'\n');
        let length = end.map(|end| self.scanned + end + 1);
        self.scanned = if end.is_some() { 0 } else { self.arrived.len() };
        match length {
            None if self.arrived.len() < LINE_MAX => return None,
            Some(length) if length <= LINE_MAX => {
                self.under_way += 1;
                let line = self.arrived.split_to(length).freeze();
                if self.arrived.is_empty() || length > LONG {
                    self.arrived = BytesMut::from(&self.arrived[..]);
                }
                return Some(Ok(line));
            }
            _ => {}
        }
        self.refuse();
        self.under_way += 1;
        Some(Err(TooLong))
    }

    /// One of those under way has been answered.
    pub(crate) fn answered(&mut self) {
        self.under_way -= 1;
    }

    /// Whether so many are under way that nothing more is looked at.
    pub(crate) fn is_full(&self) -> bool {
        self.under_way >= PIPELINE_MAX
    }

    /// Whether more bytes are wanted, if only to be thrown away.
    pub(crate) fn listens(&self) -> bool {
        !self.ended && (self.refused || !self.is_full())
    }

    /// Whether nothing will be said any more, by either end.
    pub(crate) fn is_over(&self) -> bool {
        (self.ended || self.refused) && self.under_way == 0 && !self.arrived.contains(&b'\n')
    }

    /// Whether the other end sends no more.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Bytes of memory for what has arrived.
    pub(crate) fn held(&self) -> usize {
        self.arrived.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is whole, as text.
    fn lines(conversation: &mut Conversation) -> Vec<String> {
        let next = std::iter::from_fn(|| conversation.next());
        next.map(|line| String::from_utf8(line.unwrap().to_vec()).unwrap()).collect()
    }

    #[test]
    fn however_bytes_are_cut_the_lines_are_the_same() {
        let said = b"{a}\n\n{bc}\r\nrest";
        for step in 1..=said.len() {
            let (mut conversation, mut heard) = (Conversation::default(), Vec::new());
            for piece in said.chunks(step) {
                conversation.hear(piece);
                heard.extend(lines(&mut conversation));
            }
            assert_eq!(heard, ["{a}\n", "\n", "{bc}\r\n"], "{step} at a time");
            assert_eq!(conversation.arrived, "rest");
            conversation.end();
            heard.iter().for_each(|_| conversation.answered());
            assert!(conversation.is_over(), "half a line is no request");
        }
    }

    #[test]
    fn no_more_than_so_many_are_under_way() {
        let mut conversation = Conversation::default();
        conversation.hear(&b"x\n".repeat(PIPELINE_MAX + 2));
        conversation.end();
        assert_eq!(lines(&mut conversation).len(), PIPELINE_MAX);
        assert!(conversation.is_full() && !conversation.listens());
        (0..PIPELINE_MAX).for_each(|_| conversation.answered());
        assert!(!conversation.is_over(), "two wait");
        assert_eq!(lines(&mut conversation).len(), 2);
        (0..2).for_each(|_| conversation.answered());
        assert!(conversation.is_over());
    }

    #[test]
    fn the_longest_line_is_taken_and_a_longer_one_is_the_last() {
        let longest = vec![b'x'; LINE_MAX - 1];
        for with_end in [true, false] {
            let mut conversation = Conversation::default();
            conversation.hear(&longest);
            assert!(conversation.next().is_none());
            conversation.hear(b"\n");
            conversation.hear(b"{");
            assert_eq!(conversation.next().unwrap().unwrap().len(), LINE_MAX);
            assert!((1..64).contains(&conversation.held()), "its memory is not kept: {}", conversation.held());
            conversation.hear(b"}\n");
            assert_eq!(conversation.next().unwrap().unwrap(), "{}\n");
            conversation.hear(&longest);
            conversation.hear(if with_end { b"x\n" } else { b"x" });
            assert_eq!(conversation.next(), Some(Err(TooLong)));
            conversation.hear(b"more\n");
            assert_eq!((conversation.next(), conversation.held()), (None, 0));
            assert!(conversation.listens() && !conversation.is_over(), "three are under way");
            (0..3).for_each(|_| conversation.answered());
            assert!(conversation.is_over());
        }
    }
}
