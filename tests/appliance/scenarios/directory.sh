# A directory of the scenario's own on the hypervisor, prepared as docs/members.md tells an operator; to be sourced after lib.sh.
# shellcheck shell=bash

start_directory() { # its base is dc=atlas,dc=example,dc=org; root manages it over ldapi:///
    local work=/root/directory file
    mkdir -p /run/slapd
    if [ -d $work ]; then # after a reboot
        slapd -F $work/config -h ldapi:///
        soon 30 ldapwhoami -Q -Y EXTERNAL -H ldapi:///
        return
    fi
    mkdir -p $work/config $work/data
    cat >$work/config.ldif <<LDIF
dn: cn=config
objectClass: olcGlobal
cn: config

dn: cn=module{0},cn=config
objectClass: olcModuleList
cn: module{0}
olcModulePath: /usr/lib/ldap
olcModuleLoad: back_mdb

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif
include: file:///etc/ldap/schema/cosine.ldif
include: file:///etc/ldap/schema/nis.ldif
include: file:///etc/ldap/schema/inetorgperson.ldif

dn: olcDatabase={0}config,cn=config
objectClass: olcDatabaseConfig
olcDatabase: {0}config
olcAccess: to * by dn.exact=gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth manage by * none

dn: olcDatabase={1}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {1}mdb
olcSuffix: dc=atlas,dc=example,dc=org
olcDbDirectory: $work/data
olcDbMaxSize: 67108864
LDIF
    slapadd -n 0 -F $work/config -l $work/config.ldif
    slapd -F $work/config -h ldapi:///
    soon 30 ldapwhoami -Q -Y EXTERNAL -H ldapi:///
    for file in modules ssh-keys safe; do ldapadd -Q -Y EXTERNAL -H ldapi:/// -f directory/$file.ldif; done
    ldapmodify -Q -Y EXTERNAL -H ldapi:/// -f directory/access.ldif
}
