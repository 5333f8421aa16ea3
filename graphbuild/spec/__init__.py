"""From the text of build.yaml to located, typed targets; the workspace; the JSON Schema."""
