"""Images into engines: asked in every build whether they have the image, and given it where they have not.

What was loaded is noted in the store: an engine with containerd's image store knows an image by its manifest, not by its config.
"""

import os

from graphbuild.build.perform.answers import answered, remember
from graphbuild.build.perform.content import Wanted, codec_of, image_content
from graphbuild.build.world import World
from graphbuild.image.engine import Engine, Loaded, Sought, engine_of
from graphbuild.image.engine.seam import Progress
from graphbuild.image.write import config_of, parse_tags
from graphbuild.rules.actions import Image
from graphbuild.store.actions import Outputs
from graphbuild.values.digest import Digest, parse_digest, sha256


def engine_for(kind: str) -> Engine:
    """The engine of that kind, as this process' environment names it. GraphbuildError (36) where it is not there."""
    return engine_of(kind, os.environ)


def missing(engine: Engine, action: Image, config: Digest, world: World) -> str:
    """Why an image (its config's digest) must be loaded; "" where the engine has it under all of its names."""
    noted = answered(world.store, "loaded", (engine.name, str(config)))
    manifests = (parse_digest(noted[1]["manifest"]),) if noted else ()
    return engine.missing(Sought(config, manifests, tuple(parse_tags(action.tags))))


def load(engine: Engine, action: Image, world: World, progress: Progress) -> Loaded:
    """Give an engine an image."""
    import hashlib

    codec = "none" if engine.tars else codec_of(action, world)
    content = image_content(action, world, Wanted(tars=codec == "none", codec=codec), lambda *_said: None)
    done = engine.load(content, codec, lambda manifest: answered(world.store, "given", (str(manifest),)) is not None, progress)
    config = sha256(hashlib.sha256(config_of(content)).hexdigest())
    remember(world.store, "loaded", (engine.name, str(config)), Outputs(), {"manifest": str(done.manifest)})
    if engine.tars:
        remember(world.store, "given", (str(done.manifest),), Outputs(), {})
    return done
