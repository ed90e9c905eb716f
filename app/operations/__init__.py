"""Work off the request path that joins the stages: doctor, reprice, backup, and the secrets a box keeps."""
