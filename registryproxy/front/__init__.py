"""The door: connections, requests and the answers that clients see."""
