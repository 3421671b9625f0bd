//! The transcript of the prototype's README, piped and in a terminal, and the commands around it.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test in real time")]

mod fixture;

use fixture::{Cluster, IOS, PATIENCE, assert_success, clean, eventually};
use rustix::{
    process::Signal,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use std::{
    fs::File,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::ffi::OsStrExt,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Instant,
};

/// Lines and what the prototype's client answered.
const TRANSCRIPT: [(&str, &str); 12] = [
    ("update A 1", "OK"),
    ("get A", "1"),
    ("exists A", "true"),
    ("exists B", "false"),
    ("update B 2; get B", "OK; 2"),
    ("count", "2"),
    ("print", "A, 1\nB, 2\n"),
    ("delete A", "OK"),
    ("delete A", "OK"),
    ("get A", "key not found"),
    ("update A", "Invalid command"),
    ("nonsense", "Invalid command"),
];

const GREETING: &str = "\
Starting Ios client in interactive mode.

The following commands are available:
    get [key]: to return the value of a given key
    exists [key]: to test if a given key is present
    update [key] [value]: to set the value of a given key, if key already exists then overwrite
    delete [key]: to remove a key value pair if present
    count: to return the number of keys
    print: to return all key value pairs

";

fn single() -> Cluster {
    let cluster = Cluster::start(1, "");
    cluster.leader();
    cluster
}

fn pipe(command: &mut Command, lines: &str) -> (String, Option<i32>) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

#[test]
fn the_transcript_piped_gives_one_answer_a_line_and_nothing_else() {
    let cluster = single();
    let lines: String = TRANSCRIPT.iter().map(|(line, _)| format!("{line}\n")).collect();
    let answers: String = TRANSCRIPT.iter().map(|(_, answer)| format!("{answer}\n")).collect();
    assert_eq!(pipe(&mut cluster.command(&[]), &lines), (answers, Some(0)));
    let (answers, code) = pipe(&mut cluster.command(&["repl"]), "count\nget B");
    assert_eq!((answers.as_str(), code), ("1\n2\n", Some(0)), "the last line needs no end");
}

#[test]
fn the_transcript_in_a_terminal_has_greeting_prompt_and_answers() {
    let cluster = single();
    let mut terminal = Terminal::start(&mut cluster.command(&[]), cluster.root.path());
    terminal.expect(&format!("{GREETING}Enter command: "));
    for (line, answer) in TRANSCRIPT {
        terminal.type_in(&format!("{line}\r"));
        terminal.expect(&format!("{line}\n{answer}\nEnter command: "));
    }
    // Completion of a verb, and an earlier line brought back.
    terminal.type_in("cou\t\r");
    terminal.expect("count\n1\nEnter command: ");
    terminal.type_in("\u{1b}[A\r");
    terminal.expect("count\n1\nEnter command: ");
    terminal.type_in("help\r");
    terminal.expect("cas [key] [old] [new]");
    terminal.type_in("\u{4}");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
    assert!(cluster.root.path().join(".ios_history").exists());
}

/// A process on a terminal of its own, and what it has printed.
struct Terminal {
    child: std::process::Child,
    keys: File,
    printed: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Terminal {
    fn start(command: &mut Command, home: &Path) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = || {
            let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
            File::options().read(true).write(true).open(path).unwrap()
        };
        command.env("TERM", "xterm").env("HOME", home).stdin(slave()).stdout(slave()).stderr(slave());
        let child = command.spawn().unwrap();
        let keys = File::from(master);
        let mut screen = keys.try_clone().unwrap();
        let (sender, printed) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read) = screen.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, printed, seen: Vec::new() }
    }

    fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen says this, and takes note of nothing before it any more.
    fn expect(&mut self, text: &str) {
        let begun = Instant::now();
        loop {
            let screen = screen(&self.seen);
            if screen.contains(text) {
                self.seen.clear();
                return;
            }
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match self.printed.recv_timeout(left) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(_) => panic!("expected {text:?} on the screen: {screen:?}"),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a terminal would show, as far as a line editor makes use of one: lines, a cursor that moves within the last of
/// them, and erasing from the cursor on.
fn screen(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let mut column = 0;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let line = lines.last_mut().expect("there is always one");
        match character {
            '\u{1b}' if characters.next_if_eq(&'[').is_some() => {
                let mut digits = String::new();
                while let Some(digit) = characters.next_if(|c| !c.is_ascii_alphabetic()) {
                    digits.push(digit);
                }
                let count = digits.parse().unwrap_or(1);
                match characters.next() {
                    Some('C') => column += count,
                    Some('D') => column -= count,
                    Some('J' | 'K') => line.truncate(column),
                    // Colours and modes.
                    _ => {}
                }
            }
            '\r' => column = 0,
            '\n' => {
                column = 0;
                lines.push(Vec::new());
            }
            printed => {
                line.resize(line.len().max(column + 1), ' ');
                line[column] = printed;
                column += 1;
            }
        }
    }
    lines.into_iter().map(String::from_iter).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_dummy_cluster_is_talked_to_in_its_own_language() {
    let cluster = Cluster::start(1, "[cluster]\napplication = \"dummy\"\n");
    cluster.leader();
    assert_eq!(pipe(&mut cluster.command(&[]), "ping\nget A\n"), ("pong\nInvalid command\n".to_owned(), Some(0)));
}

#[test]
fn one_shot_verbs_say_how_it_went() {
    let cluster = single();
    let run = |arguments: &[&str]| {
        let output = cluster.command(arguments).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
    };
    let check = |arguments: &[&str], stdout: &str, code| {
        assert_eq!(run(arguments), (stdout.to_owned(), code), "{arguments:?}");
    };
    check(&["get", "a"], "", 3);
    check(&["exists", "a"], "false\n", 3);
    check(&["put", "a", "1"], "OK\n", 0);
    check(&["cas", "a", "0", "2"], "false\n", 3);
    check(&["cas", "a", "1", "2"], "true\n", 0);
    check(&["get", "a"], "2\n", 0);
    check(&["put", "b c", "with spaces"], "OK\n", 0);
    check(&["ls"], "a, 2\nb c, with spaces\n", 0);
    check(&["ls", "b"], "b c, with spaces\n", 0);
    check(&["count", "-o", "json"], "{\"count\":2,\"operation\":\"count\",\"revision\":3}\n", 0);
    check(&["delete", "a"], "OK\n", 0);
    check(&["delete", "a"], "OK\n", 0);
    check(&["version"], &format!("ios {}\n", env!("CARGO_PKG_VERSION")), 0);
    check(&["put", "a"], "", 2);
    let large = "x".repeat(100_000);
    check(&["put", &large, "v"], "", 4);
    let (table, code) = run(&["status"]);
    assert_eq!(code, 0, "{table}");
    assert!(table.lines().nth(1).is_some_and(|line| line.starts_with("n0") && line.contains("leader")), "{table}");
    let mut typo = cluster.command(&["staus"]);
    let said = String::from_utf8(typo.output().unwrap().stderr).unwrap();
    assert!(said.contains("'status'"), "{said}");
}

#[test]
fn the_leader_hands_its_place_over_by_command() {
    let cluster = Cluster::start(3, "");
    let old = cluster.leader();
    let new = (old + 1) % 3;
    let transfer = |arguments: &[&str]| {
        let output = cluster.command(&[&["transfer"], arguments].concat()).output().unwrap();
        (String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(), output.status.code())
    };
    let said = transfer(&["--to", &old.to_string()]);
    assert!(
        said.0.contains(&format!("the leader keeps its place: it is n{old} already")) && said.1 == Some(4),
        "{said:?}"
    );
    let said = transfer(&["--to", "9"]);
    assert!(said.0.contains("n9 is no member") && said.1 == Some(4), "{said:?}");
    cluster.say(&["put", "k", "v"]);
    assert_eq!(transfer(&["--to", &new.to_string()]), (format!("n{new} leads\n"), Some(0)));
    assert_eq!(cluster.leader(), new);
    // A follower alone can be told: it says who leads.
    let follower = cluster.client_address(old).to_string();
    let said = transfer(&["--endpoints", &follower, "-o", "json"]);
    assert!(said.0.starts_with("{\"leader\":") && said.1 == Some(0), "{said:?}");
    assert_ne!(cluster.leader(), new);
    assert_eq!(cluster.command(&["get", "k"]).output().unwrap().stdout, b"v\n");
}

#[test]
fn reads_are_answered_by_whom_the_caller_chooses() {
    for (settings, participant) in [("[node]\nparticipant_read = true\n", "v\n"), ("", "")] {
        let cluster = Cluster::start(3, settings);
        cluster.leader();
        cluster.say(&["put", "k", "v"]);
        let get = |read: &str| cluster.command(&["get", "k", "--read", read]).output().unwrap();
        assert_eq!(get("leader").stdout, b"v\n");
        let answer = get("participant");
        let said = String::from_utf8(answer.stderr).unwrap();
        assert_eq!(String::from_utf8(answer.stdout).unwrap(), participant, "{said}");
        assert_eq!(
            said.contains("this member serves no participant reads (option participant_read)"),
            participant.is_empty()
        );
        assert_eq!(answer.status.code(), Some(if participant.is_empty() { 4 } else { 0 }));
        // Everyone hears of the write by the next heartbeat; until then a stale read may find no such key.
        eventually("a stale read sees the write", || get("stale").stdout == b"v\n");
        assert_eq!(cluster.command(&["put", "k", "w", "--read", "stale"]).output().unwrap().status.code(), Some(2));
        assert_eq!(get("fresh").status.code(), Some(2));
    }
}

#[test]
fn nobody_there_and_no_quorum_have_their_exit_code() {
    let mut cluster = Cluster::start(3, "");
    cluster.leader();
    cluster.kill(0);
    cluster.kill(1);
    let put = |cluster: &Cluster| {
        let output = cluster.command(&["put", "a", "1", "--timeout", "3s"]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = put(&cluster);
    // The last member may still have led when it was asked: then what it took may yet be done.
    assert!([5, 6].contains(&code), "{said}");
    let output = cluster.command(&["status"]).output().unwrap();
    assert_eq!(output.status.code(), Some(8), "{}", String::from_utf8_lossy(&output.stdout));
    cluster.kill(2);
    let (code, said) = put(&cluster);
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("not done: no node answered in time"), "{said}");
    assert_eq!(cluster.command(&["status"]).output().unwrap().status.code(), Some(6));
}

#[test]
fn bench_measures_a_put_next_to_a_synced_write() {
    let root = tempfile::tempdir().unwrap();
    let bench = |what: &[&str]| {
        let mut command = Command::new(IOS);
        clean(&mut command);
        let output = command.arg("bench").args(what).args(["-o", "json", "--data"]).arg(root.path()).output().unwrap();
        assert_success(&output);
        let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = rows.as_array().unwrap().clone();
        rows.iter().for_each(|row| assert!(row["count"] == 50 && row["p50_ns"].as_u64().unwrap() > 0, "{row}"));
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(bench(&["put", "--nodes", "3", "--count", "50"]), ["put", "write+fdatasync"]);
    assert_eq!(bench(&["disk", "--count", "50"]), ["write+fdatasync"]);
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn dev_runs_a_cluster_and_takes_it_down_again() {
    let root = tempfile::tempdir().unwrap();
    let port = free_ports();
    let mut command = Command::new(IOS);
    clean(&mut command);
    let data = root.path().join("cluster");
    command.args(["dev", "-n", "3", "--base-port", &port.to_string(), "--data"]).arg(&data);
    let mut dev = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    let mut stdout = dev.stdout.take().unwrap();
    while !said.contains("ready:") {
        let mut bytes = [0; 1024];
        let read = stdout.read(&mut bytes).unwrap();
        assert!(read > 0, "dev ended: {said}");
        said.push_str(str::from_utf8(&bytes[..read]).unwrap());
    }
    for port in port..port + 3 {
        assert!(said.contains(&format!("clients 127.0.0.1:{port}")), "{said}");
        assert!(said.contains(&format!("http 127.0.0.1:{}", port + HTTP_ABOVE)), "{said}");
    }
    let say = |arguments: &[&str]| {
        let mut command = Command::new(IOS);
        clean(&mut command);
        let output = command.args(arguments).arg("--config").arg(data.join("ios.toml")).output().unwrap();
        assert_success(&output);
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(say(&["put", "a", "1"]), "OK\n");
    rustix::process::kill_process(rustix::process::Pid::from_child(&dev), Signal::INT).unwrap();
    assert_eq!(dev.wait().unwrap().code(), Some(0));
    for port in port..port + 3 {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("its members have ended");
    }
    assert!(data.join("n0/identity").exists(), "named data stays");
}

/// How far above clients `ios dev` has its members speak HTTP.
const HTTP_ABOVE: u16 = 4265;

/// The first of thirteen neighbouring ports that nobody uses now, nor those for HTTP above them.
fn free_ports() -> u16 {
    let mut from = 21_000 + (std::process::id() % 300) as u16 * 100;
    while !(from..from + 13)
        .chain(from + HTTP_ABOVE..from + HTTP_ABOVE + 3)
        .all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
    {
        from += 17;
    }
    from
}
