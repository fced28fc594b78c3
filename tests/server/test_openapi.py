"""The OpenAPI document: complete, and true for whatever a client makes up."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings

from emoscope.server import ServerOptions, create_app
