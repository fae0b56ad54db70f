"""Blobs, trees and evaluations: immutable values named by BLAKE3. Pure: no file is opened here."""
