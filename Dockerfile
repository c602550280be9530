# One image with everything, for sites without conda and for REANA; the same pins as .venv and the environments.
# NOT BUILT YET: the development machine has neither a container builder nor a base image.
#
#   docker build --tag topmass .
#   apptainer build topmass.sif docker-daemon:topmass:latest       with Docker on this machine
#   docker save topmass --output topmass.tar && apptainer build topmass.sif docker-archive:topmass.tar    elsewhere
FROM python:3.11-slim-bookworm

# Runtime of OpenMP: torch and FastJet require it, and the slim image lacks it.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*

COPY envs/requirements.txt /opt/topmass/requirements.txt
RUN pip install --no-cache-dir --only-binary pythia8mc --requirement /opt/topmass/requirements.txt

# The workflow is not in the image: it is in the current folder. The container may mount no home, and its user may be a
# number without a name. So LOGNAME is set, and the caches of Snakemake and Matplotlib are in /tmp. In Apptainer, your
# own values of these variables have priority, and /tmp is that of the machine. `python workflow/start.py` checks that
# you own a folder.
ENV LOGNAME=topmass XDG_CACHE_HOME=/tmp/topmass-cache MPLCONFIGDIR=/tmp/matplotlib
CMD ["snakemake", "--help"]
