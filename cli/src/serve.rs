//! `ios init` and `ios serve`: one node.

use crate::{
    arguments::{Global, Place, Serve},
    cluster::{file, resolve},
    config::ClusterFile,
    exit::{Exit, Failure},
    say::talk,
};
use ios_core::ids::NodeId;
use runtime::{
    End,
    directory::Directory,
    http::HttpConfig,
    server::{self, Server, ServerConfig, ServerError, Stopper},
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{
    io::{self, Read},
    path::PathBuf,
};

/// Formats a data directory.
pub fn init(global: &Global, place: &Place) -> Result<Exit, Failure> {
    let file = file(global)?;
    member(&file, place.id, global)?;
    let data = data(place);
    server::format(&data, place.id, &file.configuration).map_err(Failure::server)?;
    talk(format_args!("formatted {} for member {} of {}", data.display(), place.id, file.members.len()));
    Ok(Exit::Ok)
}

/// Runs one node until it is told to stop or must not go on.
pub fn serve(global: &Global, serve: &Serve) -> Result<Exit, Failure> {
    let mut file = file(global)?;
    let id = serve.place.id;
    member(&file, id, global)?;
    if let Some(http) = &serve.http {
        file.serve_http(id, http.clone());
    }
    let data = data(&serve.place);
    if serve.init && Directory::is_blank(&data).map_err(|error| Failure::server(ServerError::Directory(error)))? {
        server::format(&data, id, &file.configuration).map_err(Failure::server)?;
    }
    panics_end_the_process();
    let server = start(&file, id, data)?;
    stop_on_signals(server.stopper())?;
    if serve.until_eof {
        stop_at_end_of_input(server.stopper())?;
    }
    let ended = server.join().map_err(|_| Failure::new(Exit::Invariant, "the node panicked"))?;
    match ended.end {
        End::Stopped => Ok(Exit::Ok),
        End::Fenced(fault) => Err(Failure::fence(&fault)),
        End::Poll(error) => Err(Failure::system("wait for events", error)),
    }
}

/// Starts a member of a cluster in this process.
pub fn start(file: &ClusterFile, id: NodeId, data: PathBuf) -> Result<Server, Failure> {
    let mut peers = std::collections::BTreeMap::new();
    for member in &file.members {
        peers.insert(member.id, member.peer.clone());
    }
    let member = file.member(id).expect("checked by the caller");
    let http = match &member.http {
        Some(address) => Some(HttpConfig { address: resolve(address)?, members: file.http_addresses() }),
        None => None,
    };
    let config = ServerConfig {
        node: id,
        configuration: file.configuration.clone(),
        options: file.options.clone(),
        peers,
        clients: resolve(&member.client)?,
        clients_max: file.clients_max,
        http,
        language: file.application.clone(),
        data,
        persistence: file.persistence,
    };
    Server::start(config, file.application.clone()).map_err(Failure::server)
}

fn member(file: &ClusterFile, id: NodeId, global: &Global) -> Result<(), Failure> {
    if file.member(id).is_some() {
        return Ok(());
    }
    let known: Vec<String> = file.members.iter().map(|member| member.id.0.to_string()).collect();
    let whose = match &global.config {
        Some(path) => format!("{} lists", path.display()),
        None => "the built-in configuration is a cluster of one; name another with --config. It has".to_owned(),
    };
    let message = format!("there is no member {}: {whose} {}", id.0, known.join(", "));
    Err(Failure::new(Exit::Usage, message))
}

fn data(place: &Place) -> PathBuf {
    place.data.clone().unwrap_or_else(|| PathBuf::from(format!("ios-data-{}", place.id.0)))
}

/// A node with a fault of its own must not go on in part: whichever thread panics, all end.
fn panics_end_the_process() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        talk("ios: a fault of the node's own, above; it stops. Its disk is as after a crash: start it again");
        std::process::exit(Exit::Invariant as i32);
    }));
}

/// The first signal stops the node in good order, the second at once.
fn stop_on_signals(stopper: Stopper) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|error| Failure::system("wait for signals", error))?;
    let watch = move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(128 + signal);
            }
            tracing::info!(signal, "stopping");
            stopper.stop();
        }
    };
    thread("signals", watch)
}

fn stop_at_end_of_input(stopper: Stopper) -> Result<(), Failure> {
    thread("input", move || {
        let mut ignored = [0; 256];
        while !matches!(io::stdin().read(&mut ignored), Ok(0) | Err(_)) {}
        stopper.stop();
    })
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    started.map(drop).map_err(|error| Failure::system("start a thread", error))
}
