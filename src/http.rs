//! A bounded HTTP client: limits on time, size and redirects for every request.
