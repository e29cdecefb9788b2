mod models;
mod responses;
