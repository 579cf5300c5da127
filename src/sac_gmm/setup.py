"""ament_python build description."""

from setuptools import find_packages, setup

PACKAGE = "sac_gmm"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, PACKAGE + ".*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + PACKAGE]),
        ("share/" + PACKAGE, ["package.xml"]),
    ],
    package_data={PACKAGE: ["py.typed", "**/*.urdf", "**/*.xml", "**/*.html", "**/*.obj", "**/*.png"]},
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="SAC-GMM for ROS 2 developers",
    maintainer_email="maintainers@sac-gmm.example",
    description="SAC-GMM: Gaussian mixture skills refined by soft actor-critic. The library; imports no ROS.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "sac-gmm = sac_gmm.cli.main:main",
        ],
    },
)
