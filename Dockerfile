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

# The workflow is not in the image: it is the folder that you are in. Matplotlib keeps what it makes in /tmp, since
# nobody's home may be mounted.
ENV MPLCONFIGDIR=/tmp/matplotlib
CMD ["snakemake", "--help"]
