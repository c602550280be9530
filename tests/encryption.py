"""Parquet files that are encrypted, with keys that nobody keeps."""

import base64
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.parquet import encryption


class Wrapper(encryption.KmsClient):
    """Stands for a server of keys: writes a key as it is."""

    def __init__(self, _settings: encryption.KmsConnectionConfig) -> None:
        encryption.KmsClient.__init__(self)

    def wrap_key(self, key: bytes, master: str) -> bytes:
        return base64.b64encode(key)

    def unwrap_key(self, wrapped: bytes, master: str) -> bytes:
        return base64.b64decode(wrapped)


def write_encrypted(table: pa.Table, path: Path, columns: list[str], plain_footer: bool = True) -> None:
    """Write a table with these columns encrypted; of a list name the leaves, such as `pixel.list.element`."""
    how = encryption.EncryptionConfiguration("footer", column_keys={"key": columns}, plaintext_footer=plain_footer)
    keys = encryption.CryptoFactory(Wrapper).file_encryption_properties(encryption.KmsConnectionConfig(), how)
    with pq.ParquetWriter(path, table.schema, encryption_properties=keys) as writer:
        writer.write_table(table)
