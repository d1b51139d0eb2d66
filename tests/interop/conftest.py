"""Lets the tests in folders of this one import what lies here."""
