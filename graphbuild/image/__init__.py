"""The OCI image model: layouts and archives in, layouts and archives out."""
