//! What operators and strangers get wrong: one clear paragraph or a closed connection, nothing lost, the server alive.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test in real time")]

mod fixture;

use fixture::{Cluster, IOS, clean, eventually, own_address};
use ios_core::{
    message::{ClientRequest, PeerMessage},
    wire::{Encoder, Framed},
};
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::Duration,
};

/// Runs the binary and checks that it ends with this code and one paragraph that says all of this.
fn refused(arguments: &[&str], code: i32, words: &[&str]) {
    let mut command = Command::new(IOS);
    clean(&mut command);
    check_refusal(command.args(arguments), code, words);
}

fn check_refusal(command: &mut Command, code: i32, words: &[&str]) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let told: Vec<&str> = stderr.lines().filter(|line| line.starts_with("ios: ")).collect();
    assert_eq!((output.status.code(), told.len()), (Some(code), 1), "{command:?}: {stderr}");
    for word in words {
        assert!(told[0].contains(word), "{command:?} does not say \"{word}\": {stderr}");
    }
    assert!(output.stdout.is_empty(), "nothing on stdout");
}

/// A file in a fresh directory, with one member that nobody else is in the way of.
fn config(directory: &Path, settings: &str) -> String {
    let (peer, client) = (own_address(), own_address());
    let member = format!("[[member]]\nid = 0\npeer = \"{peer}:7100\"\nclient = \"{client}:7200\"\n");
    let path = directory.join("ios.toml");
    fs::write(&path, format!("{settings}\n{member}")).unwrap();
    path.display().to_string()
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_a_suggestion() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), "[cluster]\nwindw = 3");
    for command in ["serve", "init", "status"] {
        refused(
            &[command, "--config", &config],
            2,
            &["ios.toml:2", "unknown key \"windw\"", "did you mean \"window\"?"],
        );
    }
}

#[test]
fn unsafe_quorums_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ios.toml");
    for (quorum, words) in [("fixed:0", "is unsafe"), ("fixed:-1", "is unsafe"), ("fixed:6", "is impossible")] {
        let members: String = (0..5)
            .map(|id| format!("[[member]]\nid = {id}\npeer = \"127.0.0.1:{id}1\"\nclient = \"127.0.0.1:{id}2\"\n"))
            .collect();
        fs::write(&path, format!("[cluster]\nquorum = \"{quorum}\"\n{members}")).unwrap();
        let words = &["ios.toml:2", quorum, words, "K must be from 1 to 5"];
        refused(&["serve", "--config", path.to_str().unwrap()], 2, words);
    }
}

#[test]
fn a_quorum_system_is_explained_or_refused_with_a_disjoint_pair() {
    let explain = |arguments: &[&str]| {
        let mut command = Command::new(IOS);
        clean(&mut command);
        let output = command.arg("quorum").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let told = explain(&["grid:2x3", "-n", "6", "--output", "simple"]);
    let phase = "replication quorums=3 smallest=2 largest=2 survives_at_worst=2 survives_at_best=4\n";
    assert!(told.starts_with(phase) && told.ends_with("n5 load=33.3%\n"), "{told}");
    let told = explain(&["strict majority", "-n", "5", "--output", "json"]);
    assert!(told.contains("\"quorum\":\"majority\"") && told.contains("\"survives_at_worst\":2"), "{told}");
    for (spec, nodes, words) in [
        (
            "weighted:3,1,1,1/q2=3/q1=3",
            "4",
            &["is unsafe", "replication quorum {n0} and the recovery quorum {n1 n2 n3}"][..],
        ),
        ("explicit:q2=0+1,2/q1=1+0", "3", &["is unsafe", "replication quorum {n2} and the recovery quorum {n0 n1}"]),
        ("fixed:0", "3", &["is unsafe", "{} and all 3"]),
        ("fixed:4", "3", &["is impossible"]),
        ("grid:2x2", "5", &["is one of 4 members, but there are 5"]),
        ("weighted:1,1", "2", &["such as weighted:3,1,1,1/q2=4/q1=3"]),
        ("most", "3", &["unknown quorum system \"most\""]),
        ("majority", "17", &["1 to 16 members, not 17"]),
    ] {
        refused(&["quorum", spec, "-n", nodes], 2, words);
    }
}

#[test]
fn a_data_directory_that_is_missing_blank_or_foreign_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), "");
    let data = |name: &str| directory.path().join(name).display().to_string();
    let serve = |data: &str, words: &[&str]| refused(&["serve", "--config", &config, "--data", data], 2, words);
    serve(&data("missing"), &["does not exist", "`ios init`"]);
    fs::create_dir(data("blank")).unwrap();
    serve(&data("blank"), &["never formatted", "`ios init`"]);
    fs::create_dir(data("foreign")).unwrap();
    fs::write(directory.path().join("foreign/thesis.tex"), "precious").unwrap();
    serve(&data("foreign"), &["thesis.tex", "no node's data"]);
    for arguments in [&["init"][..], &["serve", "--init"]] {
        let foreign = data("foreign");
        let arguments = [arguments, &["--config", &config, "--data", &foreign]].concat();
        refused(&arguments, 2, &["thesis.tex", "no node's data"]);
    }
    assert_eq!(fs::read_to_string(directory.path().join("foreign/thesis.tex")).unwrap(), "precious");
    serve(&format!("{config}/below"), &["cannot read data directory"]);
    refused(&["serve", "--config", &config, "--id", "7"], 2, &["there is no member 7"]);
}

#[test]
fn a_data_directory_of_another_node_or_cluster_is_refused() {
    let cluster = Cluster::prepare(2, "");
    let serve = |config: &Path, id: &str, data: u8| {
        let mut command = Command::new(IOS);
        clean(&mut command);
        command.args(["serve", "--id", id]).arg("--config").arg(config).arg("--data").arg(cluster.data(data));
        command
    };
    check_refusal(&mut serve(&cluster.config(), "0", 1), 10, &["n1"]);
    let other = cluster.root.path().join("other.toml");
    fs::write(&other, format!("[cluster]\nwindow = 3\n{}", fs::read_to_string(cluster.config()).unwrap())).unwrap();
    check_refusal(&mut serve(&other, "0", 0), 10, &["configuration"]);
    refused(
        &["init", "--config", cluster.config().to_str().unwrap(), "--data", cluster.data(0).to_str().unwrap()],
        2,
        &["formatted already"],
    );
}

#[test]
fn an_unreadable_data_directory_is_refused() {
    let cluster = Cluster::prepare(1, "");
    let serve = || {
        let mut command = cluster.command(&["serve"]);
        command.arg("--data").arg(cluster.data(0));
        command
    };
    fs::set_permissions(cluster.data(0), fs::Permissions::from_mode(0o000)).unwrap();
    // Nothing is unreadable to the super-user.
    if fs::read_dir(cluster.data(0)).is_err() {
        check_refusal(&mut serve(), 2, &["cannot read data directory", "permission"]);
    }
    fs::set_permissions(cluster.data(0), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(cluster.data(0).join("identity"), [0x5a; 100]).unwrap();
    check_refusal(&mut serve(), 10, &["identity"]);
}

#[test]
fn a_second_process_on_one_directory_and_a_port_in_use_are_refused() {
    let mut cluster = Cluster::start(1, "");
    cluster.leader();
    let data = cluster.data(0).display().to_string();
    let mut second = cluster.command(&["serve", "--data", &data]);
    check_refusal(&mut second, 2, &["in use by another process (pid ", "Stop that one first"]);
    assert_eq!(cluster.say(&["put", "still", "here"]), "OK\n");

    cluster.kill(0);
    for address in [cluster.peer_address(0), cluster.client_address(0)] {
        let _occupant = TcpListener::bind(address).unwrap();
        let mut serve = cluster.command(&["serve", "--data", &data]);
        check_refusal(&mut serve, 1, &["the address is in use", &address.to_string()]);
    }
    cluster.run(0);
    assert_eq!(cluster.say(&["get", "still"]), "here\n");
}

/// Files may not grow beyond nothing from now on: every further write fails, as on a broken disk.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fails_stops_its_node_and_not_the_cluster() {
    use rustix::process::{Resource, Rlimit, Signal, prlimit};
    let mut cluster = Cluster::start(3, "");
    let broken = cluster.leader();
    assert_eq!(cluster.say(&["put", "still", "here"]), "OK\n");
    let limit = Rlimit { current: Some(0), maximum: Some(0) };
    prlimit(Some(cluster.pid(broken)), Resource::Fsize, limit).unwrap();
    assert_eq!(cluster.say(&["put", "still", "there"]), "OK\n");
    assert_eq!(cluster.wait(broken), Some(10));
    cluster.run(broken);
    eventually("it is back", || cluster.status(broken).is_some_and(|status| status.leader.is_some()));
    assert_eq!(cluster.say(&["get", "still"]), "there\n");
    cluster.signal(broken, Signal::TERM);
    assert_eq!(cluster.wait(broken), Some(0));
}

#[test]
fn an_emptied_directory_does_not_come_back_under_its_old_id() {
    let mut cluster = Cluster::start(3, "");
    let emptied = (cluster.leader() + 1) % 3;
    assert_eq!(cluster.say(&["put", "still", "here"]), "OK\n");
    cluster.kill(emptied);
    fs::remove_dir_all(cluster.data(emptied)).unwrap();
    let mut serve = cluster.command(&["serve", "--init", "--id", &emptied.to_string()]);
    check_refusal(serve.arg("--data").arg(cluster.data(emptied)), 10, &["refuses this node", "emptied or replaced"]);
    assert_eq!(cluster.say(&["get", "still"]), "here\n");
}

#[test]
fn a_transfer_is_not_commanded_twice_when_the_first_command_got_no_answer() {
    let (deaf, other) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoints = format!("{closed},{},{}", deaf.local_addr().unwrap(), other.local_addr().unwrap());
    let words = ["outcome unknown", &deaf.local_addr().unwrap().to_string(), "ios status"];
    refused(&["transfer", "--endpoints", &endpoints, "--timeout", "300ms"], 5, &words);
    other.set_nonblocking(true).unwrap();
    assert_eq!(other.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody else was asked");
    refused(&["transfer", "--endpoints", &closed.to_string(), "--timeout", "300ms"], 6, &["no leader was found"]);
}

#[test]
fn noise_on_both_ports_ends_in_closed_connections_only() {
    let mut cluster = Cluster::start(3, "");
    cluster.leader();
    assert_eq!(cluster.say(&["put", "still", "here"]), "OK\n");
    let noise: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    for id in 0..3 {
        for address in [cluster.peer_address(id), cluster.client_address(id)] {
            closed(address, &noise);
            closed(address, &noise[1..]);
            closed(address, &huge(&PeerMessage::Canvass { view: ios_core::ids::View::ZERO }));
            closed(address, &huge(&ClientRequest::Status { tag: 1 }));
            closed(address, b"GET / HTTP/1.1\r\nHost: ios\r\n\r\n");
            closed(address, &[0xb5; 64]);
        }
    }
    // Half a frame and then silence holds nothing up.
    let mut silent = TcpStream::connect(cluster.client_address(0)).unwrap();
    silent.write_all(&Encoder::default().encode(&ClientRequest::Status { tag: 1 }).unwrap().concat()[..10]).unwrap();
    assert_eq!(cluster.say(&["get", "still"]), "here\n");
    assert_eq!(cluster.say(&["put", "still", "there"]), "OK\n");
    eventually("all are well", || {
        let status = |id| cluster.status(id).unwrap();
        (0..3).all(|id| status(id).incarnation.0 == 1 && status(id).reachable.len() == 3 && status(id).leader.is_some())
    });
    (0..3).for_each(|id| cluster.signal(id, rustix::process::Signal::TERM));
    (0..3).for_each(|id| assert_eq!(cluster.wait(id), Some(0)));
}

/// A frame that announces a hundred megabytes, with a head checksum that holds.
fn huge<M: Framed>(message: &M) -> Vec<u8> {
    let mut frame = Encoder::default().encode(message).unwrap().concat();
    frame[8..12].copy_from_slice(&(100u32 << 20).to_le_bytes());
    let crc = !frame[..16].iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    frame[16..20].copy_from_slice(&crc.to_le_bytes());
    frame
}

fn closed(address: SocketAddr, bytes: &[u8]) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The other end may have had enough before everything is written.
    let _ = socket.write_all(bytes);
    loop {
        match socket.read(&mut [0; 1024]) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()) => return,
            Err(error) => panic!("{address} does not close: {error}"),
        }
    }
}
