# One image with everything, for sites without conda and for REANA; the same pins as .venv and the environments.
# NOT BUILT WHERE IT WAS WRITTEN: there is neither a container builder nor a base image there.
#
#   docker build --tag topmass .
#   apptainer build topmass.sif docker-daemon:topmass:latest       from the same recipe, where Docker is
#   docker save topmass --output topmass.tar && apptainer build topmass.sif docker-archive:topmass.tar    elsewhere
FROM python:3.11-slim-bookworm

# OpenMP's run time, which the slim image lacks and torch and FastJet want.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*

COPY envs/requirements.txt /opt/topmass/requirements.txt
RUN pip install --no-cache-dir --only-binary pythia8mc --requirement /opt/topmass/requirements.txt

# The workflow is not in the image: it is the folder that you are in. Nobody's home may be mounted, and the user may be a
# number without a name: what Snakemake and Matplotlib keep goes to /tmp, under a name. Apptainer prefers your own values
# of these; there, /tmp is the machine's, and `python workflow/start.py` sees whether a folder is yours.
ENV LOGNAME=topmass XDG_CACHE_HOME=/tmp/topmass-cache MPLCONFIGDIR=/tmp/matplotlib
CMD ["snakemake", "--help"]
