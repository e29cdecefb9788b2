//! `POST /v1/responses`.

use super::super::auth::Principal;
use super::super::error::Rejection;
use super::super::repeat::{Earlier, Repeat};
use super::super::state::Gateway;
use super::super::{body, clients, stream};
use super::begin::{Begun, NotBegun, Origin, begin, head};
use crate::core::id::RunId;
use crate::dialect::record;
use crate::dialect::responses::events::EventStream;
use crate::dialect::responses::fold::{Fold, Head};
use crate::dialect::responses::record::Record;
use crate::dialect::responses::request::{self, ResponsesRequest};
use crate::runs::Listener;
use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::sync::Arc;

pub async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Rejection> {
    let (parts, body) = request.into_parts();
    let mut body = body::json(Request::from_parts(parts.clone(), body), gateway.settings.body_limit).await?;
    clients::forget_empty_tools(&parts.headers, &mut body);
    Telling::of(&gateway, principal, &parts.headers, "/v1/responses", body).await?.answer(&gateway).await
}

/// A response to be told: of a run that has just begun, or of one that the same request has begun before.
pub struct Telling {
    pub listener: Listener,
    pub head: Head,
    background: bool,
    stream: bool,
}

impl Telling {
    /// `route` tells apart requests with the same key.
    pub async fn of(
        gateway: &Gateway,
        principal: Principal,
        headers: &HeaderMap,
        route: &str,
        body: Value,
    ) -> Result<Self, Rejection> {
        let mut from = Origin::of(principal, headers)?;
        let repeat = Repeat::of(headers, route, from.user.as_deref(), &body)?;
        from.repeats(&repeat);
        from.body = from.may_detach(gateway, &body).then(|| body.clone());
        let asked = request::parse(body)?;
        if let Some((run, earlier)) = repeat.earlier(gateway, &from.principal).await? {
            return Self::again(gateway, run, &earlier, asked);
        }
        let (principal, same) = (from.principal.clone(), asked.clone());
        let (background, stream) = (asked.settings.background, asked.stream);
        match begin(gateway, from, asked).await {
            Ok(Begun { listener, record, .. }) => Ok(Self { listener, head: record.head, background, stream }),
            // Another request with the same key was faster.
            Err(NotBegun::Taken(keyed)) => {
                let (run, earlier) = repeat.found(gateway, &principal, &keyed).await?;
                Self::again(gateway, run, &earlier, same)
            }
            Err(NotBegun::Rejected(rejection)) => Err(rejection),
        }
    }

    /// What was told then, and what is told from now on.
    fn again(gateway: &Gateway, run: RunId, earlier: &Earlier, mut asked: ResponsesRequest) -> Result<Self, Rejection> {
        let (background, stream) = (asked.settings.background, asked.stream);
        let kept = match earlier {
            Earlier::Live(live) => live.record.as_ref().and_then(record::Record::response).cloned(),
            Earlier::Stored(stored) => Record::of(stored),
        };
        let head = match kept {
            Some(record) => record.head,
            // Of a run that is not stored nothing is kept, but the request says all of it once more.
            None => {
                let profile = gateway.profile(&asked.model)?;
                asked.adopt(&profile.agent.sampling);
                let mut head = head(run, &profile, asked.settings, asked.view);
                if let Earlier::Live(live) = earlier {
                    head.ended = live.ended_at.clone();
                }
                head
            }
        };
        Ok(Self { listener: earlier.listen(), head, background, stream })
    }

    async fn answer(self, gateway: &Gateway) -> Result<Response, Rejection> {
        let (Self { listener, head, background, stream }, http) = (self, &gateway.settings);
        match (background, stream) {
            (true, true) => Ok(stream::answer(listener, EventStream::new(head), http.keepalive)),
            (true, false) => Ok(Json(Fold::new(head).resource()).into_response()),
            (false, true) => {
                stream::answer_once_alive(listener, EventStream::new(head), http.header_wait, http.keepalive).await
            }
            (false, false) => whole(listener, head).await,
        }
    }
}

/// The answer that is no stream. A client that leaves drops this, and its listener with it.
async fn whole(mut listener: Listener, head: Head) -> Result<Response, Rejection> {
    let mut fold = Fold::new(head);
    while let Some(told) = listener.next_at_leisure().await {
        fold.on(&told.event);
    }
    Ok(Json(fold.into_answer()?).into_response())
}
