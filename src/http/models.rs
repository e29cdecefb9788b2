//! `GET /v1/models`: the profiles, as models.

use super::error::Rejection;
use super::state::Gateway;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use std::sync::Arc;

#[derive(Debug, Serialize)]
pub struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

#[derive(Debug, Serialize)]
pub struct ModelList {
    object: &'static str,
    data: Vec<Model>,
}

pub async fn list(State(gateway): State<Arc<Gateway>>) -> Json<ModelList> {
    let data = gateway.profiles.keys().map(|id| model(id, &gateway)).collect();
    Json(ModelList { object: "list", data })
}

pub async fn get(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Result<Json<Model>, Rejection> {
    let profile = gateway.profile(&id)?;
    Ok(Json(model(&profile.id, &gateway)))
}

fn model(id: &str, gateway: &Gateway) -> Model {
    Model { id: id.to_owned(), object: "model", created: gateway.started_at, owned_by: "nuncio" }
}
