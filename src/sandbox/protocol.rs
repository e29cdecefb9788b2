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

/// stdin, stdout and stderr of the command.
pub(super) const STREAMS: usize = 3;

/// What a supervisor is asked to do.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    pub command: Command,
    /// The file to hold locked meanwhile.
    pub lock: Option<PathBuf>,
}

/// How the command ended. The last word of a supervisor.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Exit(i32),
    Signal(i32),
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

/// Sends the descriptors with as much of the line as the socket takes, and says how much that was.
pub(super) fn send_streams(socket: impl AsFd, line: &[u8], streams: [BorrowedFd<'_>; STREAMS]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(STREAMS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&streams));
    Ok(sendmsg(socket, &[IoSlice::new(line)], &mut control, SendFlags::NOSIGNAL)?)
}

/// A request with its streams, and what the daemon has said after it already.
pub(super) type Received = (Request, [OwnedFd; STREAMS], Vec<u8>);

/// Waits for a whole request; `None` when the daemon went away first.
pub(super) fn receive_request(socket: impl AsFd) -> io::Result<Option<Received>> {
    let mut line = Vec::new();
    let mut streams = Vec::with_capacity(STREAMS);
    let mut chunk = vec![0; 64 * 1024];
    let end = loop {
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            break end;
        }
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(STREAMS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut part = [IoSliceMut::new(&mut chunk)];
        let received = recvmsg(&socket, &mut part, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        if received.bytes == 0 {
            return Ok(None);
        }
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                streams.extend(descriptors);
            }
        }
        line.extend(chunk.iter().take(received.bytes));
    };
    let said_after = line.split_off(end.saturating_add(1));
    let streams = streams.try_into().map_err(|_| io::Error::other("a request comes with three streams"))?;
    Ok(decode(&line)?.map(|request| (request, streams, said_after)))
}
