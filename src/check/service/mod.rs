//! Is a service up? One file for each way to look at one.

mod process;
pub(crate) mod unit;
mod url;

pub use self::unit::Units;

use super::Context;
use crate::clock;
use crate::http;
use crate::model::reason::Failure;
use crate::model::service::{ServiceFacts, ServiceProbe};

pub fn check(probe: &ServiceProbe, context: &Context) -> ServiceFacts {
    let began = clock::instant();
    let found = match probe {
        ServiceProbe::Http(probe) => return url::check(probe, context.deadline),
        ServiceProbe::Tcp(address) => {
            http::reach(address, context.deadline).map(|()| "accepts connections".into()).map_err(Into::into)
        }
        ServiceProbe::Unit { name, user } => unit::check(name, *user, context),
        ServiceProbe::Process(pattern) => process::check(pattern, &context.shared.processes),
        ServiceProbe::Unreachable(failure) => return ServiceFacts::failed(failure.clone()),
    };
    let facts = match found {
        Ok(seen) => ServiceFacts { seen, ..ServiceFacts::default() },
        Err(failure) => ServiceFacts::failed(failure),
    };
    ServiceFacts { duration: Some(began.elapsed()), ..facts }
}

/// What a look found: a sentence about a service that is up, or why it is not.
type Found = Result<String, Failure>;
