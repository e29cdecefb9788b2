//! What a request goes on from, and what its run is told to do.

use super::super::state::Gateway;
use super::super::{conversations, user};
use super::{ID_PREFIX, broken};
use crate::core::housekeeping::is_housekeeping;
use crate::core::id::RunId;
use crate::core::ports::store::{Chain, Link, Store};
use crate::dialect::error::ApiError;
use crate::dialect::record::Record;
use crate::dialect::responses::history::History;
use crate::dialect::responses::request::ResponsesRequest;
use crate::runs::session::SessionKey;
use crate::runs::turns::Place;
use crate::runs::{Brief, LiveRun, Profile};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Who asks, and for what.
#[derive(Clone)]
pub struct Asker {
    pub store: Arc<dyn Store>,
    pub principal: Arc<str>,
    pub profile: Arc<Profile>,
    pub session: SessionKey,
    /// The person that the headers name.
    pub user: Option<Arc<str>>,
    pub asked: ResponsesRequest,
}

impl Asker {
    /// The brief of a request that goes on from these responses, or from nothing.
    pub fn after(&mut self, chain: &[Link]) -> Result<Brief, ApiError> {
        let history = History::of(chain, &BTreeSet::new());
        let previous = chain.last().map(|link| link.id().to_owned());
        // Who leaves a conversation stays in its folder.
        let conversation = chain.iter().rev().find_map(Link::conversation);
        self.brief(&history, conversation, previous, None)
    }

    /// The brief of a request in a conversation, as that stands now.
    pub async fn in_conversation(&mut self, id: &str, place: Option<Place>) -> Result<Brief, ApiError> {
        let found = conversations::load(&*self.store, &self.principal, id).await?;
        let (conversation, chain) = found.ok_or_else(|| conversations::unknown("conversation"))?;
        let history = History::of(&chain, &conversation.removed);
        self.brief(&history, Some(id), conversation.head.clone(), place)
    }

    fn brief(
        &mut self,
        history: &History,
        conversation: Option<&str>,
        previous: Option<String>,
        place: Option<Place>,
    ) -> Result<Brief, ApiError> {
        if self.profile.inherit_instructions {
            self.asked.inherit_instructions(history);
        }
        let spec = self.asked.spec(history)?;
        let session = match (&self.session, conversation) {
            (SessionKey::ByHistory, Some(conversation)) => SessionKey::Named(conversation.to_owned()),
            (SessionKey::ByHistory, None) if !history.is_new => {
                SessionKey::ByOpening(history.opening(&self.asked.input))
            }
            (session, _) => session.clone(),
        };
        let housekeeping = is_housekeeping(&spec, self.asked.stream);
        let user = user::or_body(self.user.clone(), self.asked.user());
        let off_record = !self.asked.settings.store;
        Ok(Brief { spec, session, user, housekeeping, off_record, previous, place })
    }
}

/// What was said before a request that adds nothing to it.
pub async fn history(gateway: &Gateway, principal: &str, asked: &ResponsesRequest) -> Result<History, ApiError> {
    let Some(key) = &asked.conversation else {
        let previous = asked.settings.previous_response_id.as_deref();
        return Ok(History::of(&response_to_go_on_from(gateway, principal, previous).await?, &BTreeSet::new()));
    };
    let Some(id) = conversations::resolve(gateway, principal, key, false).await? else {
        return Ok(History::of(&[], &BTreeSet::new()));
    };
    let found = conversations::load(&*gateway.store, principal, &id).await?;
    let (conversation, chain) = found.ok_or_else(|| conversations::unknown("conversation"))?;
    Ok(History::of(&chain, &conversation.removed))
}

/// The response that a request goes on from, with all that it goes on from itself.
pub async fn response_to_go_on_from(
    gateway: &Gateway,
    principal: &str,
    previous: Option<&str>,
) -> Result<Chain, ApiError> {
    let Some(id) = previous else { return Ok(Chain::new()) };
    let live = RunId::of_answer(id, ID_PREFIX).and_then(|run| gateway.runs.find(principal, run));
    // A client that has been told of the end may go on at once, even if the run is still seen here.
    let runs_on = |live: Arc<LiveRun>| {
        live.record.as_ref().and_then(Record::response).is_some()
            && live.log.read(|journal| journal.outcome().is_none())
    };
    if live.is_some_and(runs_on) {
        let message = "The response in `previous_response_id` is still in progress: wait for its end, or cancel it.";
        let error = ApiError::invalid("previous_response_id", message);
        return Err(error.with_code("previous_response_in_progress"));
    }
    let chain = gateway.store.chain(principal, id).await.map_err(broken)?;
    let is_response = |chain: &Chain| id.starts_with(ID_PREFIX) && !matches!(chain.last(), Some(Link::Items(_)));
    let chain = chain.filter(is_response);
    let Some(chain) = chain else {
        return Err(not_found(
            "The response in `previous_response_id`, or one that it goes on from, was not found: it was never stored, or deleted, or is too old.",
        ));
    };
    if chain.iter().any(|link| matches!(link, Link::Gone { .. })) {
        return Err(not_found(
            "The history of the response in `previous_response_id` was deleted, or a part of it, or is too old: there is nothing whole to go on from.",
        ));
    }
    Ok(chain)
}

fn not_found(message: &str) -> ApiError {
    let error = ApiError::new(404, "invalid_request_error", Some("previous_response_not_found"), message);
    error.with_param("previous_response_id")
}
