//! What can be read off a conversation.
