//! Is a service up? One file for each way to look at one.

mod process;
mod tcp;
mod unit;
mod url;

pub use self::unit::ShownUnits;

use super::Context;
use crate::clock;
use crate::model::reason::Failure;
use crate::model::service::{ServiceFacts, ServiceLook, ServiceTarget};

pub fn check(target: &ServiceTarget, context: &Context) -> ServiceFacts {
    let began = clock::instant();
    let found = match &target.look {
        ServiceLook::Http(look) => return url::check(look, context.deadline),
        ServiceLook::Tcp(address) => tcp::check(address, context.deadline),
        ServiceLook::Unit { name, user } => unit::check(name, *user, &target.units, context),
        ServiceLook::Process(pattern) => process::check(pattern, &context.shared.processes),
        ServiceLook::Unreachable(failure) => return ServiceFacts::failed(failure.clone()),
    };
    let facts = match found {
        Ok(seen) => ServiceFacts { seen, ..ServiceFacts::default() },
        Err(failure) => ServiceFacts::failed(failure),
    };
    ServiceFacts { duration: Some(began.elapsed()), ..facts }
}

/// What a look found: a sentence about a service that is up, or why it is not.
type Found = Result<String, Failure>;
