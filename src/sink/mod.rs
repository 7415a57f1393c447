//! Destinations: each takes finished bytes or a snapshot and brings them to one place. None stops another.
