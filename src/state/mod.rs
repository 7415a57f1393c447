//! What is remembered between passes, and the lock that keeps two passes apart.
