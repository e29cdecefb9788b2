//! Runs that the daemon before this one has left: those that nobody waits for go on, the others get their end.

use super::super::clock::now;
use super::super::conversations;
use super::super::state::Gateway;
use super::asker::{Asker, response_to_go_on_from};
use super::broken;
use crate::core::event::{Cut, Outcome};
use crate::core::failure::{Failure, FailureKind};
use crate::core::ports::journals::{Claimed, END_OF_TIME};
use crate::dialect::error::ApiError;
use crate::dialect::record::Record;
use crate::dialect::responses::fold::EndTime;
use crate::dialect::responses::record;
use crate::dialect::responses::request;
use crate::runs::recovery::MAX_CRASHES;
use crate::runs::session::SessionKey;
use crate::runs::turns::Place;
use crate::runs::{Brief, LeftRun};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// What is kept of a request, so that another process can go on with its run.
#[derive(Serialize, Deserialize)]
pub struct Carry {
    pub body: Value,
    /// The session that the client named.
    pub session: Option<String>,
    /// The person that its headers named; the body says itself whom it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Arc<str>>,
}

/// Resolves once nothing of the last daemon's commands is left.
pub type CommandsGone = Shared<BoxFuture<'static, ()>>;

/// Takes up whatever was left. To be called before anybody is let in, so that those who were in a conversation are
/// still the first. A run that is gone on with waits for `commands_gone` by itself.
pub async fn carry_on(gateway: &Arc<Gateway>, commands_gone: &CommandsGone) {
    loop {
        // The lock on the data folder says that whoever owned them is gone, whatever their leases say.
        let left = match gateway.runs.left_behind(END_OF_TIME).await {
            Ok(left) if left.is_empty() => return,
            Ok(left) => left,
            Err(error) => {
                tracing::error!(%error, "the runs of the last daemon could not be taken up");
                return;
            }
        };
        for claimed in left {
            take_up(gateway, claimed, commands_gone).await;
        }
    }
}

async fn take_up(gateway: &Arc<Gateway>, claimed: Claimed, commands_gone: &CommandsGone) {
    let Some(record) = Record::of(&claimed.response) else {
        tracing::error!(run = %claimed.run, "a run that was left behind cannot be read");
        return;
    };
    let record = match record {
        Record::Response(mut record) => {
            record.head.ended = EndTime::by(now);
            Record::Response(record)
        }
        Record::Chat(mut chat) => {
            chat.clock = Some(now);
            Record::Chat(chat)
        }
    };
    match asker(gateway, &claimed, &record) {
        Ok((asker, record)) => {
            let brief = brief(gateway, &claimed, asker, &record, commands_gone.clone());
            let profile = Arc::clone(&brief.1);
            gateway.runs.go_on(LeftRun { claimed, profile, record: Record::Response(record), brief: brief.0 });
        }
        Err(outcome) => {
            let place = record.response().and_then(|record| place(gateway, &claimed, record));
            gateway.runs.close(claimed, record, outcome, place.and_then(Result::ok)).await;
        }
    }
}

/// Who has asked for the run and for what; or how it ends that nobody goes on with.
fn asker(gateway: &Gateway, claimed: &Claimed, record: &Record) -> Result<(Asker, record::Record), Outcome> {
    let nobody_waits = Outcome::Incomplete { reason: Cut::Disconnected };
    let Record::Response(record) = record else { return Err(nobody_waits) };
    if claimed.request.is_empty() {
        return Err(nobody_waits);
    }
    if claimed.claims >= MAX_CRASHES {
        let text = format!("The server went down {MAX_CRASHES} times in a row while this ran, so it was given up.");
        return Err(failed(text));
    }
    let carry: Carry = serde_json::from_str(&claimed.request).map_err(|error| failed(error.to_string()))?;
    let asked = request::parse(carry.body).map_err(|error| failed(error.error.message))?;
    let profile = gateway.profile(&record.head.model).map_err(|error| failed(error.error.message))?;
    let asked = asked.as_it_began(&record.head.settings, record.input());
    let session = carry.session.map_or(SessionKey::ByHistory, SessionKey::Named);
    let (store, principal) = (Arc::clone(&gateway.store), Arc::clone(&claimed.principal));
    Ok((Asker { store, principal, profile, session, user: carry.user, asked }, record.clone()))
}

fn failed(text: String) -> Outcome {
    Outcome::Failed { failure: Failure::new(FailureKind::Internal, text) }
}

/// In the line before its conversation, if it has one.
fn place(gateway: &Gateway, claimed: &Claimed, record: &record::Record) -> Option<Result<Place, ApiError>> {
    let conversation = record.head.settings.conversation.as_ref()?;
    Some(conversations::line_up(gateway, &claimed.principal, &conversation.id))
}

/// The brief that the run had, made again. Its place in a conversation is taken at once.
fn brief(
    gateway: &Arc<Gateway>,
    claimed: &Claimed,
    mut asker: Asker,
    record: &record::Record,
    commands_gone: CommandsGone,
) -> (BoxFuture<'static, Result<Brief, ApiError>>, Arc<crate::runs::Profile>) {
    let profile = Arc::clone(&asker.profile);
    let conversation = record.head.settings.conversation.as_ref().map(|conversation| conversation.id.clone());
    let place = place(gateway, claimed, record);
    let gateway = Arc::clone(gateway);
    let brief = async move {
        commands_gone.await;
        let Some(id) = conversation else {
            let previous = asker.asked.settings.previous_response_id.clone();
            let chain = response_to_go_on_from(&gateway, &asker.principal, previous.as_deref()).await?;
            return asker.after(&chain);
        };
        let place = place.transpose()?;
        if let Some(place) = &place {
            place.turn().await.map_err(broken)?;
        }
        asker.in_conversation(&id, place).await
    };
    (brief.boxed(), profile)
}
