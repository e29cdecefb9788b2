//! HTTP to addresses that somebody else names: a model, a page that redirects, a client's request. Such an address must
//! not lead to what only this machine can reach, so every one passes a [`Guard`](guard::Guard) before anything is
//! connected. Services that the operator names are trusted and go another way ([`service`]).

pub mod address;
pub mod fetch;
pub mod guard;
pub mod lookup;
pub mod service;
