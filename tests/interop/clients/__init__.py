"""The real clients, one file each, all behind the one face of L{tests.interop.clients.client.Client}."""
