//! What the configuration says of the web, as the tools want it.

use crate::config::tools::{FetchUrl, SearchProvider, WebSearch};
use crate::tools::fetch_url::FetchSettings;
use crate::tools::web_search::{Provider, SearchSettings};
use crate::web::address::AddressRules;
use url::Url;

/// What is no host and no network was refused when the configuration was loaded.
pub fn fetch_settings(configured: &FetchUrl) -> FetchSettings {
    FetchSettings {
        max_size: configured.max_size,
        max_time: configured.max_time,
        rules: AddressRules::new(configured.allow.iter().filter_map(|text| text.parse().ok())),
    }
}

/// A search without a provider was refused as well.
pub fn search_settings(configured: &WebSearch) -> Option<SearchSettings> {
    Some(SearchSettings {
        provider: match configured.provider? {
            SearchProvider::Searxng => Provider::Searxng,
            SearchProvider::Brave => Provider::Brave,
            SearchProvider::Tavily => Provider::Tavily,
        },
        base_url: configured.base_url.as_deref().and_then(|url| Url::parse(url).ok()),
        api_key: configured.api_key.clone(),
        max_results: configured.max_results,
    })
}
