import pytest

from graphbuild.image.reference import parse_reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("web", "docker.io/library/web:latest", "web:latest"),
        ("web:1", "docker.io/library/web:1", "web:1"),
        ("me/web:1", "docker.io/me/web:1", "me/web:1"),
        ("index.docker.io/library/web", "docker.io/library/web:latest", "web:latest"),
        ("localhost/web", "localhost/web:latest", "localhost/web:latest"),
        ("registry.example:5000/a/b__c/d-e:v1.0_x", "registry.example:5000/a/b__c/d-e:v1.0_x", "registry.example:5000/a/b__c/d-e:v1.0_x"),
        ("[::1]:5000/web", "[::1]:5000/web:latest", "[::1]:5000/web:latest"),
    ],
)
def test_names_in_full_and_for_people(text, full, familiar):
    reference = parse_reference(text)
    assert (reference.full, reference.familiar) == (full, familiar)
    assert parse_reference(reference.full) == parse_reference(reference.familiar) == reference


def test_a_digest_needs_no_tag():
    reference = parse_reference(f"web@{DIGEST}")
    assert (str(reference.digest), reference.tag) == (DIGEST, "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Web",
        "web:",
        "web:-x",
        "a b",
        "web@sha256:1",
        "/web",
        "web/",
        "a//b",
        "../x",
        "web:" + "x" * 129,
        "a/" * 130 + "a",
        "we\nb",
        "reg.example:x/web",
    ],
)
def test_what_no_registry_takes_is_a_value_error(text):
    with pytest.raises(ValueError):
        parse_reference(text)
