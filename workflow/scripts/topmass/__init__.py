"""The library that the stages share. It knows no Snakemake, no configuration file and no results folder."""
