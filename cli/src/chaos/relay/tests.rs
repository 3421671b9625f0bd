//! Each kind of weather does what it is called, to one direction only.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "these tests take place in real time")]

use super::*;
use std::time::Instant;

/// Two members played by hand: n1 dials n0.
struct Pairing {
    relay: Relay,
    /// n1's end and n0's.
    ends: [TcpStream; 2],
    listener: TcpListener,
}

impl Pairing {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = "127.0.0.1:1".parse().unwrap();
        let relay = Relay::start(&[listener.local_addr().unwrap(), nobody], Ipv4Addr::LOCALHOST, 7).unwrap();
        let ends = Self::connect(&relay, &listener);
        Self { relay, ends, listener }
    }

    fn connect(relay: &Relay, listener: &TcpListener) -> [TcpStream; 2] {
        let near = TcpStream::connect(relay.address(1, 0)).unwrap();
        let (far, _) = listener.accept().unwrap();
        for end in [&near, &far] {
            end.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        }
        [near, far]
    }

    /// Sends from member `from`; how long it took to arrive at the other one.
    fn carry(&self, from: usize, bytes: &[u8]) -> Duration {
        let begun = Instant::now();
        (&self.ends[1 - from]).write_all(bytes).unwrap();
        let mut arrived = vec![0; bytes.len()];
        (&self.ends[from]).read_exact(&mut arrived).unwrap();
        assert_eq!(arrived, bytes);
        begun.elapsed()
    }

    /// Whether nothing arrives at member `at` for a while.
    fn is_silent(&self, at: usize) -> bool {
        let end = &self.ends[1 - at];
        end.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        let read = (&*end).read(&mut [0; 16]);
        end.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

#[test]
fn in_fair_weather_bytes_pass_both_ways_and_an_end_is_passed_on() {
    let pairing = Pairing::new();
    pairing.carry(1, b"up");
    pairing.carry(0, &vec![7; 3 * CHUNK + 5]);
    pairing.ends[0].shutdown(Shutdown::Both).unwrap();
    assert!(matches!((&pairing.ends[1]).read(&mut [0; 16]), Ok(0) | Err(_)));
    assert_eq!(pairing.relay.tally(), Tally { delayed: pairing.relay.tally().delayed, ..Tally::default() });
}

#[test]
fn a_delay_is_one_way_and_keeps_the_order() {
    let pairing = Pairing::new();
    let slow = Weather { delay: Span::millis(80), jitter: Span::millis(40), ..Weather::default() };
    pairing.relay.set(1, 0, slow);
    assert!(pairing.carry(1, b"first") >= Duration::from_millis(80));
    let sent: Vec<u8> = (0..200).collect();
    for byte in &sent {
        (&pairing.ends[0]).write_all(&[*byte]).unwrap();
    }
    let mut arrived = vec![0; sent.len()];
    (&pairing.ends[1]).read_exact(&mut arrived).unwrap();
    assert_eq!(arrived, sent);
    let delayed = pairing.relay.tally().delayed;
    assert!(delayed > 0);
    pairing.carry(0, b"back");
    assert_eq!(pairing.relay.tally().delayed, delayed, "the way back is fair");
}

#[test]
fn a_narrow_link_takes_its_time() {
    let pairing = Pairing::new();
    pairing.relay.set(0, 1, Weather { bytes_per_second: Some(100_000), ..Weather::default() });
    let took = pairing.carry(0, &[3; 30_000]);
    assert!(took >= Duration::from_millis(250), "{took:?}");
}

#[test]
fn held_bytes_arrive_later_and_only_that_way_is_held() {
    let pairing = Pairing::new();
    pairing.relay.set(1, 0, Weather { flow: Flow::Held, ..Weather::default() });
    (&pairing.ends[0]).write_all(b"later").unwrap();
    assert!(pairing.is_silent(0));
    pairing.carry(0, b"meanwhile");
    assert_eq!(pairing.relay.tally().held, 5);
    pairing.relay.heal();
    let mut arrived = [0; 5];
    (&pairing.ends[1]).read_exact(&mut arrived).unwrap();
    assert_eq!(&arrived, b"later");
}

#[test]
fn lost_bytes_never_arrive_and_the_stream_ends_once_others_could() {
    let pairing = Pairing::new();
    pairing.relay.set(1, 0, Weather { flow: Flow::Lost, ..Weather::default() });
    (&pairing.ends[0]).write_all(b"gone").unwrap();
    assert!(pairing.is_silent(0));
    pairing.carry(0, b"the other way");
    assert_eq!(pairing.relay.tally().lost, 4);
    pairing.relay.heal();
    (&pairing.ends[0]).write_all(b"after").unwrap();
    assert!(matches!((&pairing.ends[1]).read(&mut [0; 16]), Ok(0) | Err(_)), "a stream with a gap ends");
}

#[test]
fn a_reset_ends_what_is_there_even_while_it_is_held_and_not_what_comes_after() {
    let pairing = Pairing::new();
    pairing.relay.set(1, 0, Weather { flow: Flow::Held, ..Weather::default() });
    (&pairing.ends[0]).write_all(b"stuck").unwrap();
    assert!(pairing.is_silent(0));
    pairing.relay.reset(0, 1);
    assert!(pairing.ends.iter().all(|mut end| matches!(end.read(&mut [0; 16]), Ok(0) | Err(_))));
    assert_eq!(pairing.relay.resets(), 1);
    pairing.relay.heal();
    let Pairing { relay, listener, .. } = pairing;
    let ends = Pairing::connect(&relay, &listener);
    let again = Pairing { relay, listener, ends };
    again.carry(1, b"anew");
}
