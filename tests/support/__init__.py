"""Verified fakes and strategies that several tests share."""
