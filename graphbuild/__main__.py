"""`python -m graphbuild`."""

import sys

from graphbuild.start import main

sys.exit(main())
