//! Other people's programs: started, listened to, and ended, whatever they do. The only room with `unsafe` code
//!; it knows processes and signals, not what a server means.
