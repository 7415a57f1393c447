//! What must not show when the other side quotes a request back.

use url::Url;

use super::proxy::Proxies;
use super::{basic_auth, may_be_credential};
use crate::redact::{Secret, credential_of, secrets_in_url};

/// Everything in a URL and in configured headers that may be a credential, in each form in which it is sent.
pub fn secrets_of(url: &Url, headers: &[(String, Secret)]) -> Vec<Secret> {
    let basic = basic_auth(url);
    let proxies = Proxies::from_env();
    let headers = headers.iter().filter(|(name, value)| may_be_credential(name, value)).map(|(_, value)| value);
    let sent = headers.cloned().chain(basic).chain(proxies.credentials()).flat_map(|value| {
        // The scheme is no secret and says what was refused.
        let credential = credential_of(value.expose());
        [Secret::new(credential), Secret::new(credential.rsplit(' ').next().unwrap_or_default())]
    });
    sent.chain(secrets_in_url(url).into_iter().map(Secret::new)).collect()
}
