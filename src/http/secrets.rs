//! What must not show when the other side quotes a request back.

use url::Url;

use super::basic_auth;
use super::proxy::Proxies;
use crate::model::secret::Secret;

/// Path segments from this length on may be a key: some providers put one there.
const PATH_KEY_LENGTH: usize = 16;
/// Shorter values of a query (`v=1`, `json`) are no keys, and taking them out of sentences would garble those.
const QUERY_KEY_LENGTH: usize = 6;

/// Everything in a URL and in configured headers that may be a credential, in each form in which it is sent.
pub fn secrets_of(url: &Url, headers: &[(String, Secret)]) -> Vec<Secret> {
    let basic = basic_auth(url);
    let proxies = Proxies::from_env();
    let values = headers.iter().map(|(_, value)| value);
    let sent = values.chain(&basic).chain(proxies.credentials()).flat_map(|value| {
        let text = value.expose();
        // The scheme is no secret and says what was refused.
        match text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("Basic ")) {
            Some(credential) => vec![Secret::new(credential)],
            None => vec![value.clone(), Secret::new(text.rsplit(' ').next().unwrap_or_default())],
        }
    });
    let decoded = url.query_pairs().map(|(_, value)| value.into_owned());
    let as_written = url.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let query = decoded.chain(as_written.map(|(_, value)| value.to_owned()));
    let query = query.filter(|value| value.len() >= QUERY_KEY_LENGTH);
    let path = url.path_segments().into_iter().flatten().filter(|segment| segment.len() >= PATH_KEY_LENGTH);
    let userinfo = [url.username(), url.password().unwrap_or_default()];
    let decoded_userinfo =
        userinfo.map(|text| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned());
    let texts = query.chain(path.map(str::to_owned)).chain(userinfo.map(str::to_owned)).chain(decoded_userinfo);
    sent.chain(texts.map(Secret::new)).collect()
}
