//! `GET /v1/models`: the profiles, as models.

use super::error::Rejection;
use super::state::Gateway;
use crate::dialect::error::ApiError;
use crate::runs::Profile;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use std::sync::Arc;

#[derive(Debug, Serialize)]
pub struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    /// Not in OpenAI's model object, which allows for more keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct ModelList {
    object: &'static str,
    data: Vec<Model>,
}

pub async fn list(State(gateway): State<Arc<Gateway>>) -> Json<ModelList> {
    let data = gateway.profiles.values().map(|profile| model(profile, &gateway)).collect();
    Json(ModelList { object: "list", data })
}

pub async fn get(
    State(gateway): State<Arc<Gateway>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Model>, Rejection> {
    let Ok(Path(id)) = id else {
        let message = "The model in the path is not UTF-8, so it does not exist.";
        let error = ApiError::new(404, "invalid_request_error", Some("model_not_found"), message);
        return Err(error.with_param("model").into());
    };
    let profile = gateway.profile(&id)?;
    Ok(Json(model(&profile, &gateway)))
}

fn model(profile: &Profile, gateway: &Gateway) -> Model {
    let (id, description) = (profile.id.clone(), profile.description.clone());
    Model { id, object: "model", created: gateway.started_at, owned_by: "nuncio", description }
}
