//! What the daemon and a supervisor say to each other: one request line with three descriptors, one answer line.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Command;
use super::policy::{Layer, Policy};

/// stdin, stdout and stderr of the command.
pub(super) const STREAMS: usize = 3;

/// Those, and a network with the users it belongs to.
const MAX_DESCRIPTORS: usize = STREAMS + 2;

/// What a supervisor is asked to do.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// Comes with the streams, and with the network to join if there is one.
    Run {
        command: Command,
        policy: Box<Policy>,
        /// The file to hold locked meanwhile.
        lock: Option<PathBuf>,
    },
    /// To make a network and hand it over.
    Network,
}

/// How the command ended. The last word of a supervisor.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Exit(i32),
    Signal(i32),
    /// It was never started, as this layer cannot be put on, and why not.
    Refused(Layer, String),
    /// It was never started.
    Error(String),
}

/// One message as one line.
pub(super) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// The message in a line; `None` when the other side died before it was whole.
pub(super) fn decode<T: DeserializeOwned>(line: &[u8]) -> io::Result<Option<T>> {
    match line.strip_suffix(b"\n") {
        Some(line) => Ok(Some(serde_json::from_slice(line)?)),
        None => Ok(None),
    }
}

/// Sends descriptors with as much of the line as the socket takes, and says how much that was.
pub(super) fn send(socket: impl AsFd, line: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(descriptors));
    Ok(sendmsg(socket, &[IoSlice::new(line)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Takes some of a line and adds the descriptors that come with it; 0 when there is no more.
pub(super) fn receive(socket: impl AsFd, chunk: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(&socket, &mut [IoSliceMut::new(chunk)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            descriptors.extend(more);
        }
    }
    Ok(received.bytes)
}

/// Waits for a whole request with its descriptors; `None` when the daemon went away first.
pub(super) fn receive_request(socket: impl AsFd) -> io::Result<Option<(Request, Vec<OwnedFd>)>> {
    let (mut line, mut descriptors) = (Vec::new(), Vec::new());
    let mut chunk = vec![0; 64 * 1024];
    while !line.ends_with(b"\n") {
        let received = receive(&socket, &mut chunk, &mut descriptors)?;
        if received == 0 {
            return Ok(None);
        }
        line.extend(chunk.iter().take(received));
    }
    Ok(decode(&line)?.map(|request| (request, descriptors)))
}
