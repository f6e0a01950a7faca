"""A class with state, and numpy: C extensions run in process mode. See airports-requirements.txt."""

import numpy as np
from cloister import DataTypes, FunctionContext, ScalarFunction, udf

# Code, latitude, longitude.
_HUBS = [
    ("ATL", 33.640, -84.427),
    ("ORD", 41.980, -87.905),
    ("DFW", 32.896, -97.037),
    ("DEN", 39.858, -104.667),
    ("LAX", 33.943, -118.408),
    ("JFK", 40.640, -73.779),
    ("SEA", 47.449, -122.309),
]
_EARTH_RADIUS_KM = 6371.0


class NearestHub(ScalarFunction):
    """The hub that is nearest by the great circle. The hubs become arrays once, in `open`."""

    def open(self, function_context: FunctionContext) -> None:
        """Prepares what every row needs."""
        self.codes = [code for code, _, _ in _HUBS]
        self.latitudes = np.radians([latitude for _, latitude, _ in _HUBS])
        self.longitudes = np.radians([longitude for _, _, longitude in _HUBS])

    def eval(self, latitude: float, longitude: float) -> str:
        """The code of the hub, and the distance."""
        phi, lam = np.radians(latitude), np.radians(longitude)
        a = np.sin((self.latitudes - phi) / 2) ** 2
        b = np.cos(phi) * np.cos(self.latitudes) * np.sin((self.longitudes - lam) / 2) ** 2
        kilometres = 2 * _EARTH_RADIUS_KM * np.arcsin(np.sqrt(a + b))
        nearest = int(np.argmin(kilometres))
        return f"{self.codes[nearest]} {kilometres[nearest]:.0f} km"


nearest_hub = udf(NearestHub(), result_type=DataTypes.STRING(), name="nearest_hub")
